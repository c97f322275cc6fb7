"""The user stops the stream of a job that waits long: on the real SDK, with a restart after every step."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.answer import Answer
from agent.job_entry import Progress
from agent.jobs import catalog
from agent.jobs.definition import Job, Outcome, Waiting
from agent.ports import Services, StreamEnded
from agent.task_hub import to_task_hub
from agent.view import View
from orchestrators.following import Following
from tests.devhost.simulation import START
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.test_on_the_sdk import CHAT, FollowUpRun

pytestmark = test_on_the_sdk.pytestmark


class Slow:
    """A streamed job that is checked every hour."""

    kind, title, deadline, stop_cancels = "slow", "Take time", timedelta(days=1), True

    def recognises(self, text: str) -> bool:
        return False

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("I have begun.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Waiting(state={}, check_in=timedelta(hours=1), progress=Progress(step="Looking around"))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return await self.begin(job, services=services)

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry.")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FollowUpRun:
    return FollowUpRun(tmp_path, monkeypatch)


async def follow_stopped(run: FollowUpRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Follow the job, whose user has stopped its stream before its first update."""
    monkeypatch.setattr(catalog, "JOBS", [Slow()])
    claim = await run.services.turn_claims.insert("i", at=START)
    assert claim is not None
    view = View(kind="stream", opened_at=START, shown_at=START, sequence=1, shown="I have begun.")
    await run.services.turn_claims.write(
        msgspec.structs.replace(claim, state="acknowledged", sent_ids=("stream-1",), view=view)
    )
    await run.services.conversations.heard(CHAT, at=START)
    run.services.connector.errors = [StreamEnded("it was stopped", why="stopped")]
    job = Job(version=2, job_id="i", kind="slow", requested_at=START, requested_by=CHAT, shown_as="stream")
    run.simulation.start("follow_up", to_task_hub(Following(job=job)))
    await run.simulation.run()


async def test_a_stop_that_the_news_of_a_step_meets_ends_the_job_without_its_next_wait(
    run: FollowUpRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    await follow_stopped(run, monkeypatch)
    assert run.simulation.instance().output == '{"outcome":"cancelled","told":1}'
    assert run.simulation.now - START < timedelta(seconds=30)
    assert await run.board_says() == "cancelled"
