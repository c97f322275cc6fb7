"""`python -m local callback`: signs a callback URL, as a job hands out to who does its work."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from agent.callbacks import Callbacks, ReportName
from local.functions_host import functions_url
from local.ports import Ports
from local.processes import StackError

CALLBACK_SECRET = "CallbackSecret"  # noqa: S105 (the setting's name)
LASTS = timedelta(hours=1)


def callback_url(job_id: str, name: ReportName, *, ports: Ports, settings: Mapping[str, str]) -> str:
    """The URL by which ``name`` is reported of a job of the local stack. Raises StackError."""
    secret = settings.get(CALLBACK_SECRET, "").partition(",")[0].strip()
    if not secret:
        raise StackError(
            f"local.settings.json has no {CALLBACK_SECRET}: take the line from local.settings.json.example"
        )
    callbacks = Callbacks(secrets=(secret,), public_url=functions_url(ports), now=lambda: datetime.now(UTC))
    return callbacks.url(job_id, name, expires_in=LASTS)
