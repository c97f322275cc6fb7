"""`python -m local callback`: a URL that the app of the local stack takes."""

from datetime import UTC, datetime

import pytest

from adapters.in_memory import SteppedClock
from agent.callbacks import Callbacks
from local.callback import callback_url
from local.ports import Ports
from local.processes import StackError
from local.settings_file import EXAMPLE_FILE, values_of
from settings import read_settings

PORTS = Ports(functions_port=7171)


def test_the_examples_settings_sign_what_the_app_accepts() -> None:
    settings = values_of(EXAMPLE_FILE)
    url = callback_url("job-1", "completed", ports=PORTS, settings=settings)
    address, _, query = url.partition("?")
    assert address == "http://127.0.0.1:7171/api/jobs/job-1/events/completed"
    expires, signature = (part.partition("=")[2] for part in query.split("&"))
    app = Callbacks(
        secrets=read_settings(settings).callback_secrets,
        public_url="",
        now=SteppedClock(datetime.now(UTC)).now,
    )
    assert app.is_genuine("job-1", "completed", expires=expires, signature=signature)


@pytest.mark.parametrize("settings", [{}, {"CallbackSecret": ""}])
def test_without_a_secret_it_says_where_to_take_one(settings: dict[str, str]) -> None:
    with pytest.raises(StackError, match=r"CallbackSecret.*local\.settings\.json\.example"):
        callback_url("job-1", "completed", ports=PORTS, settings=settings)
