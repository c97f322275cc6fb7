"""A job's own step that hangs is broken off before the host kills the process that runs it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from agent.answer import Answer
from agent.approval import Approval
from agent.asking import ask
from agent.job_entry import owner_key
from agent.jobs import catalog, running
from agent.jobs.definition import Job
from tests.unit.agent.stepped_loop import run
from tests.unit.agent.streaming_channel import CHAT, StreamingServices, Told

FUNCTION_TIMEOUT = timedelta(minutes=5)


class Hanging(Told):
    async def begin(self, job: Job, *, services: Any) -> Any:
        await services.clock.sleep(10_000)

    async def check(self, job: Job, state: dict[str, Any], *, services: Any) -> Any:
        await services.clock.sleep(10_000)

    async def cancel(self, job: Job, state: dict[str, Any], *, services: Any) -> Answer:
        await services.clock.sleep(10_000)
        return Answer("It is cancelled.")

    async def approval(self, job: Job, *, services: Any) -> Approval:
        await services.clock.sleep(10_000)
        return Approval(question="?")


def in_check(job: Job) -> running.Check:
    return running.Check(job=job, state={})


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("begin", lambda job, services: running.begin(job, services=services)),
        ("check", lambda job, services: running.check(in_check(job), services=services)),
        ("cancel", lambda job, services: running.cancel(in_check(job), services=services)),
        ("approval", lambda job, services: ask(job, services=services)),
    ],
)
def test_a_step_that_hangs_is_broken_off_and_the_board_says_so(
    monkeypatch: pytest.MonkeyPatch, name: str, step: Callable[[Job, StreamingServices], Awaitable[Any]]
) -> None:
    monkeypatch.setattr(catalog, "JOBS", (Hanging(),))

    async def hang() -> None:
        services = StreamingServices()
        began = services.clock.now()
        job = Job(job_id="job-1", kind="told", requested_at=began, requested_by=CHAT, version=2)
        with pytest.raises(TimeoutError):
            await step(job, services)
        assert services.clock.now() - began < FUNCTION_TIMEOUT
        entry = await services.job_board.find(owner_key(CHAT), "job-1")
        assert entry is not None
        assert entry.reason == f"{name}: TimeoutError"

    run(hang())
