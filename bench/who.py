"""The names that every program under test and the stub agree on."""

APP_ID = "9b2f6f0e-3a51-4d57-9d0b-0a4f5e1c7d22"
APP_PASSWORD = "not-a-secret"  # noqa: S105 (a pretend one: the stub takes any)
TENANT_ID = "7d0c1b52-5f0e-4b5c-9a37-2c4d5f8e1a60"
AGENT_ID = f"28:{APP_ID}"
LOGIN = "https://login.microsoftonline.com"
SAID = "The weather is nice today."  # nothing that the app knows as a job, a question or a greeting
