"""Answers that are streamed by HTTP, on the machine's own time, to a connector that holds Teams' rules."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from adapters.connector_client import BotConnectorClient
from adapters.credentials import NoCredentials
from adapters.in_memory import InMemoryServices, SteppedClock
from adapters.service_hosts import ServiceHosts
from adapters.system_clock import SystemClock
from agent import follow_up as follow_ups
from agent.composing import ComposedOutcome, Composition, compose
from agent.follow_up import FollowUp
from agent.jobs import catalog
from agent.jobs.definition import Job
from agent.stream import informative
from agent.view import View
from testconnector.options import Options
from testconnector.server import ScriptedConnector, running
from tests.unit.agent.streaming_channel import CHAT, Told

WORDS = [(0.4, f"word{number} ") for number in range(9)]
WHOLE = "".join(word for _, word in WORDS)


class _Clock(SteppedClock):
    """The machine's time, where a stepped clock is asked for."""

    def now(self) -> datetime:
        return SystemClock().now()

    async def sleep(self, seconds: float) -> None:
        await SystemClock().sleep(seconds)


class OneRun:
    """One composition of ``WORDS``, in a stream that lasts for ``longest`` seconds."""

    def __init__(self, server: ScriptedConnector, client: BotConnectorClient) -> None:
        self.server = server
        self.services = InMemoryServices(clock=_Clock())
        self.services.connector = client  # type: ignore[assignment]
        self.chat = msgspec.structs.replace(CHAT, service_url=server.url)
        self.job = Job(
            job_id="job-1",
            kind="told",
            requested_at=self.services.clock.now(),
            requested_by=self.chat,
            version=2,
        )

    async def composed(self) -> ComposedOutcome:
        clock = self.services.clock
        await self.services.conversations.heard(self.chat, at=clock.now())
        begun = await self.services.connector.send(
            informative("Let me see.", stream_id=None, sequence=1), at=self.chat.place
        )
        view = View(
            kind="stream",
            opened_at=clock.now(),
            shown_at=clock.now(),
            activity_id=begun.activity_id,
            sequence=1,
        )
        composition = Composition(job=self.job, number=1, view=view)
        return await compose(composition, services=self.services)

    async def follow_up(self, outcome: ComposedOutcome) -> None:
        stream = outcome.view.open_stream if outcome.view else None
        told = FollowUp(job=self.job, number=1, answer=outcome.outcome.tell, stream=stream)
        assert (await follow_ups.send(told, services=self.services)).outcome == "sent"


@pytest.fixture
async def client() -> AsyncIterator[BotConnectorClient]:
    client = BotConnectorClient(NoCredentials(), hosts=ServiceHosts(with_loopback=True))
    yield client
    await client.close()


@pytest.fixture
async def run(
    request: pytest.FixtureRequest, client: BotConnectorClient, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OneRun]:
    monkeypatch.setattr(catalog, "JOBS", (Told(*WORDS),))
    longest: Any = getattr(request, "param", 120.0)
    async with running(Options(stream_pace=1.0, stream_longest=longest)) as server:
        yield OneRun(server, client)


async def test_an_answer_is_streamed_by_teams_rules_and_its_final_is_the_whole(run: OneRun) -> None:
    outcome = await run.composed()
    assert outcome.is_told
    report = run.server.report()
    (stream,) = report["streams"]
    assert (stream["text"], stream["sequence"] >= 3) == (WHOLE, True)
    assert report["streamRefusals"] == {}
    assert report["calls"] == report["accepted"]
    assert run.server.texts[-1] == WHOLE


@pytest.mark.parametrize("run", [2.0], indirect=True)
async def test_an_answer_whose_stream_ended_early_comes_whole_in_a_message(run: OneRun) -> None:
    outcome = await run.composed()
    assert (outcome.is_told, outcome.view and outcome.view.ended) == (False, "over")
    await run.follow_up(outcome)
    (stream,) = run.server.report()["streams"]
    assert stream["text"] != WHOLE
    assert run.server.texts[-1] == WHOLE
    assert run.server.texts.count(WHOLE) == 1
