"""Which adapter is plugged into which port, and when it is imported."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.token_validator import (
    ChannelTokenValidator,
    EmulatorTokenValidator,
    NoTurns,
    TenantsOnly,
    UnsignedTurns,
)
from agent.callbacks import CallbacksOff
from composition import AzureServices
from settings import read_settings

ROOT = Path(__file__).parent.parent.parent
STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
APP = {"MicrosoftAppId": "app", "MicrosoftAppPassword": "secret", "MicrosoftAppTenantId": "tenant"}
CHINA = {
    "ChannelCloud": "China",
    "ProactiveServiceUrl": "https://smba.example/",
    "AllowedServiceHosts": "smba.example",
}
OFF = {"ChannelAuth": "off", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}
CHINA = {
    "ChannelCloud": "China",
    "ProactiveServiceUrl": "https://teams.example/",
    "AllowedServiceHosts": "teams.example",
}
TENANTS = {"AllowedTenants": "11111111-1111-4111-8111-111111111111"}

LATER = ("botbuilder", "botframework", "msal", "azure.storage", "requests", "openai", "httpx2", "pydantic")


@pytest.mark.parametrize(
    ("given", "validator"),
    [
        ({}, NoTurns),
        (OFF, UnsignedTurns),
        (APP, ChannelTokenValidator),
        ({**APP, **OFF}, ChannelTokenValidator),
        ({**APP, **OFF, "EmulatorTokens": "on"}, EmulatorTokenValidator),
        ({**APP, "ChannelCloud": "GCC"}, ChannelTokenValidator),
        ({**APP, "ChannelCloud": "GCCHigh"}, ChannelTokenValidator),
        ({**APP, "ChannelCloud": "DoD"}, ChannelTokenValidator),
        ({**APP, **CHINA}, ChannelTokenValidator),
        ({**APP, **TENANTS}, TenantsOnly),
        ({**OFF, **TENANTS}, TenantsOnly),
    ],
)
def test_who_may_come_in_follows_from_the_settings(given: dict[str, str], validator: type) -> None:
    services = AzureServices(read_settings({**STORAGE, **given}))
    assert type(services.token_validator) is validator


def test_callback_urls_are_signed_as_the_settings_say() -> None:
    given = {**STORAGE, "CallbackSecret": "c" * 32, "WEBSITE_HOSTNAME": "app.example"}
    callbacks = AzureServices(read_settings(given)).callbacks
    url = callbacks.url("job-1", "completed", expires_in=timedelta(hours=1))
    assert url.startswith("https://app.example/api/jobs/job-1/events/completed?expires=")
    with pytest.raises(CallbacksOff, match="CallbackSecret"):
        AzureServices(read_settings(STORAGE)).callbacks.url("i", "failed", expires_in=timedelta(hours=1))


def test_a_token_is_checked_without_the_sdks() -> None:
    look = (
        "import sys\n"
        "from adapters import signed_tokens, signing_keys, token_issuers, token_validator\n"
        f"later = [name for name in sys.modules if name.startswith({LATER!r})]\n"
        "sys.exit(f'imported for a token: {later}' if later else 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_users_without_a_conversation_are_reached_as_the_settings_say() -> None:
    given = {"ProactiveRoute": "copilot", "ProactiveServiceUrl": "https://canary.example/teams/"}
    options = AzureServices(read_settings({**STORAGE, **given})).delivery_options
    assert (options.route, options.service_url) == ("copilot", "https://canary.example/teams/")


@pytest.mark.parametrize(
    ("cloud", "service_url"),
    [
        ("Public", "https://smba.trafficmanager.net/teams/"),
        ("GCC", "https://smba.infra.gcc.teams.microsoft.com/teams/"),
        ("GCCHigh", "https://smba.infra.gov.teams.microsoft.us/teams/"),
        ("DoD", "https://smba.infra.dod.teams.microsoft.us/teams/"),
    ],
)
def test_users_without_a_conversation_are_reached_where_their_cloud_is(cloud: str, service_url: str) -> None:
    options = AzureServices(read_settings({**STORAGE, "ChannelCloud": cloud})).delivery_options
    assert options.service_url == service_url


def test_the_agent_is_named_to_the_channel_by_its_app_id() -> None:
    assert AzureServices(read_settings({**STORAGE, **APP})).delivery_options.agent_id == "28:app"


TENANT = {"MicrosoftAppId": "app", "MicrosoftAppTenantId": "tenant"}


@pytest.mark.parametrize(
    ("given", "imports_msal"),
    [
        ({}, False),
        (APP, True),
        ({**TENANT, "MicrosoftAppCertificate": "c"}, True),
        ({**TENANT, "MicrosoftAppFederatedClientId": "f"}, True),
        ({"MicrosoftAppId": "app", "MicrosoftAppType": "UserAssignedMSI"}, True),
    ],
)
def test_msal_is_imported_by_an_app_that_has_an_identity_and_by_no_other(
    given: dict[str, str], imports_msal: bool
) -> None:
    look = (
        "import sys; from composition import AzureServices; from settings import read_settings\n"
        "AzureServices(read_settings()).connector\n"
        f"sys.exit(('msal' in sys.modules) is not {imports_msal})"
    )
    environment = {"PATH": "", **STORAGE, **given}
    run = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


MODEL = {"AnswererModel": "a-model", "AnswererKey": "the-key"}


@pytest.mark.parametrize(
    ("given", "answerer"),
    [
        ({}, "NoAnswerer"),
        ({"AZURE_FUNCTIONS_ENVIRONMENT": "Development"}, "LocalAnswerer"),
        (MODEL, "OpenAIAnswerer"),
        ({**MODEL, "AnswererUrl": "https://models.example/openai/v1/"}, "OpenAIAnswerer"),
        ({"AnswererModel": "a-model", "AnswererUrl": "https://models.example/v1/"}, "OpenAIAnswerer"),
    ],
)
def test_who_answers_questions_follows_from_the_settings_and_openai_is_imported_for_its_api_alone(
    given: dict[str, str], answerer: str
) -> None:
    look = (
        "import sys; from composition import AzureServices; from settings import read_settings\n"
        "services = AzureServices(read_settings())\n"
        "services.connector, services.orders, services.job_board\n"
        "assert 'openai' not in sys.modules and 'httpx2' not in sys.modules\n"
        f"assert type(services.answerer).__name__ == {answerer!r}, services.answerer\n"
        f"assert ('openai' in sys.modules) is {answerer == 'OpenAIAnswerer'}"
    )
    environment = {"PATH": "", **STORAGE, **given}
    run = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_indexing_the_app_reads_no_setting_and_imports_no_sdk_but_that_of_functions() -> None:
    look = (
        "import sys, function_app\n"
        f"later = [name for name in sys.modules if name.startswith({LATER!r})]\n"
        "sys.exit(f'imported at indexing: {later}' if later else 0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
