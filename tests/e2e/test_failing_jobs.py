"""A job that breaks, on a whole host: it is told once, kept, and run again by an operator and by its user."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.azurite import Azurite
from local.functions_host import functions_url
from testconnector.server import ScriptedConnector, running
from tests.faults.killable_host import KillableHost

APP = Path(__file__).parent.parent / "devhost" / "apps" / "failing"
SORRY = "I am sorry, I could not shake."
SECRET = "shake a secret"
TOLD_SECONDS = 60


class Broken:
    """The app on devhost, its user, and whoever operates it."""

    def __init__(self, host: KillableHost, connector: ScriptedConnector, mended: Path) -> None:
        self.connector = connector
        self.mended = mended
        self._url = functions_url(host.ports)

    async def says(self, text: str, **fields: Any) -> None:
        turn = {**self.connector.turn(text), **fields}
        (answer,) = await self.connector.deliver(turn, to=f"{self._url}/api/messages", token="")
        assert answer.status == 200

    async def asks(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self._url}{path}") as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    def said(self) -> list[str]:
        """What the user was shown, a card by its fallbackText."""
        return [body.get("text") or body.get("summary", "") for body in self._bodies()]

    def try_again(self) -> dict[str, Any]:
        """The data of the button of the card that said sorry."""
        (card,) = [
            attachment["content"]
            for body in self._bodies()
            if body.get("summary") == SORRY
            for attachment in body["attachments"]
        ]
        (action,) = card["actions"]
        assert action["title"] == "Try again"
        data: dict[str, Any] = action["data"]
        return data

    async def until_said(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + TOLD_SECONDS
        while self.said().count(text) < times:
            assert time.monotonic() < deadline, f"{text!r} was not said {times} times: {self.said()}"
            await asyncio.sleep(0.1)

    def _bodies(self) -> list[dict[str, Any]]:
        return [
            call.body
            for call in self.connector.calls
            if call.accepted and call.operation in ("send", "reply") and isinstance(call.body, dict)
        ]


@pytest.fixture
async def broken(azurite: Azurite, tmp_path: Path) -> AsyncIterator[Broken]:
    mended = tmp_path / "mended"
    async with running() as connector:
        host = KillableHost(
            azurite,
            connector,
            logs=tmp_path / "logs",
            data=tmp_path / "hub",
            settings={"MENDED": str(mended), "TurnBudgetSeconds": "2"},
            script_root=APP,
        )
        await asyncio.to_thread(host.start)
        try:
            yield Broken(host, connector, mended)
        finally:
            await asyncio.to_thread(host.stop)


async def test_a_job_that_breaks_is_told_once_is_kept_and_is_run_again_with_success(broken: Broken) -> None:
    await broken.says(SECRET)
    await broken.until_said(SORRY)
    job_id = broken.try_again()["again"]
    status, told = await broken.asks("GET", f"/api/notifications/{job_id}")
    assert (status, told["state"], told["attempts"]) == (200, "failed", 1)
    assert told["reason"] == "begin: RuntimeError"
    assert "secret" not in str(told)

    broken.mended.touch()
    path = f"/api/jobs/{job_id}/again"
    deadline = time.monotonic() + TOLD_SECONDS
    # It may be telling its user still, which the channel knows a moment before the app does.
    while (answer := await broken.asks("POST", path))[1].get("detail") == "the job has not ended yet":
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    status, started = answer
    assert status == 202
    await broken.until_said(f"Shaken: {SECRET}")
    status, refused = await broken.asks("POST", path)
    assert (status, refused["jobId"]) == (409, started["jobId"])
    _, told = await broken.asks("GET", f"/api/notifications/{job_id}")
    assert told["reason"].endswith(f"run again as {started['jobId']}")
    assert (await broken.asks("POST", "/api/jobs/unknown/again"))[0] == 404

    await broken.says("", value=broken.try_again())
    await broken.until_said(f"Shaken: {SECRET}", times=2)
    assert broken.said().count(SORRY) == 1
