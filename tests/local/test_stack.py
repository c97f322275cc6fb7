"""What the stack tells devhost of the places around it."""

from pathlib import Path
from typing import Any

import pytest

from local.playground import connector_url
from local.ports import Ports
from local.stack import PROACTIVE_SERVICE_URL, Stack


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings that devhost would be started with."""
    told: dict[str, Any] = {}
    monkeypatch.setattr(
        "local.stack.start_functions_host", lambda *_, **given: told.update(given["settings"])
    )
    monkeypatch.setattr("local.stack.wait_for_functions_host", lambda *_, **__: None)
    return told


def test_users_not_heard_yet_are_reached_at_the_playground_unless_the_environment_says_otherwise(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(ports=Ports(), data=tmp_path, task_hub=tmp_path)
    monkeypatch.delenv(PROACTIVE_SERVICE_URL, raising=False)
    stack.start_functions_host()
    assert told[PROACTIVE_SERVICE_URL] == connector_url(stack.ports)
    monkeypatch.setenv(PROACTIVE_SERVICE_URL, "http://127.0.0.1:3980/teams/")
    stack.start_functions_host()
    assert told[PROACTIVE_SERVICE_URL] == "http://127.0.0.1:3980/teams/"
