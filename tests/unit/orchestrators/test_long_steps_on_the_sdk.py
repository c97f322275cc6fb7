"""A step that lasts, beside the timers that keep its stream alive: on the real SDK, ended at any moment."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.answer import Answer
from agent.jobs import catalog
from agent.jobs.definition import Done, Job, Outcome, Waiting
from agent.ports import Services
from agent.task_hub import to_task_hub
from agent.view import View
from devhost.durable.history import parse_utc
from orchestrators.following import Following
from tests.devhost.simulation import START
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.test_on_the_sdk import CHAT, FollowUpRun
from tests.unit.orchestrators.test_stopping import Slow

pytestmark = test_on_the_sdk.pytestmark


class Lasting(Slow):
    """Its steps end after so many pieces of work that the host does beside them."""

    def __init__(self, run: FollowUpRun, *, steps_beside: int, breaks: bool, event: str | None) -> None:
        self._run, self._steps, self._event = run, steps_beside, event
        self._breaks = breaks

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        await self._last("begin_job")
        if self._breaks:
            self._breaks = False
            raise ConnectionError("it is down")
        return Waiting(state={}, check_in=timedelta(seconds=40))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        await self._last("check_job")
        return Done(tell=Answer("It is done."))

    async def _last(self, name: str) -> None:
        simulation = self._run.simulation
        for _ in range(self._steps):
            others = [work for work in simulation.hub.pending_activities() if work.name != name]
            if waiting := simulation.hub.waiting_instances():
                await simulation._run_instance(waiting[0])
            elif others:
                await simulation._run_activity(others[0])
            elif fire_at := simulation.hub.next_timer():
                simulation.now = max(simulation.now, parse_utc(fire_at))
                simulation._fire()
        if self._event:
            simulation.raise_event(self._event, None)
            self._event = None


@pytest.mark.parametrize(
    ("event", "breaks"), [(None, False), (None, True), ("cancel", False), ("completed", False)]
)
@pytest.mark.parametrize("steps_beside", range(12))
async def test_a_step_may_end_at_any_moment_beside_the_timers_of_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps_beside: int, event: str | None, breaks: bool
) -> None:
    run = FollowUpRun(tmp_path, monkeypatch)
    definition = Lasting(run, steps_beside=steps_beside, breaks=breaks, event=event)
    monkeypatch.setattr(catalog, "JOBS", [definition])
    claim = await run.services.turn_claims.insert("i", at=START)
    assert claim is not None
    view = View(kind="stream", opened_at=START, shown_at=START, sequence=1, shown="I have begun.")
    await run.services.turn_claims.write(
        msgspec.structs.replace(claim, state="acknowledged", sent_ids=("stream-1",), view=view)
    )
    await run.services.conversations.heard(CHAT, at=START)
    job = Job(version=2, job_id="i", kind="slow", requested_at=START, requested_by=CHAT, shown_as="stream")
    run.simulation.start("follow_up", to_task_hub(Following(job=job)))
    told_at: list[datetime] = []
    ended_at: list[datetime] = []

    def watch() -> None:
        if len(run.services.connector.texts) > len(told_at):
            told_at.append(run.simulation.now)
        if not ended_at and run.simulation.instance().status.text == "Completed":
            ended_at.append(run.simulation.now)

    await run.simulation.run(between=watch)
    outcome = "cancelled" if event == "cancel" else "done"
    assert run.simulation.instance().output == f'{{"outcome":"{outcome}","told":1}}'
    assert await run.board_says() == outcome
    assert ended_at[0] - told_at[-1] < timedelta(seconds=1), "it was held up by a timer that was left open"
    assert len(told_at) > 1 or steps_beside < 6, "nothing was shown beside the step"
