"""The kinds of job that a recording needs beside the app's own: they take seconds, or break."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from agent.answer import Answer, Citation
from agent.approval import Approval
from agent.job_entry import Progress
from agent.jobs.definition import Composing, Done, Job, JobDefinition, Outcome, Waiting
from agent.ports import Services

LAST_PAGE, COUNTS = 3, 52
IS_DONE = Answer("It is done.")


class _Recorded:
    """What all of them have. ``said``: the words that ask for one."""

    kind = ""
    title = "See to something"
    deadline = timedelta(hours=2)
    said = ""

    def recognises(self, text: str) -> bool:
        return re.fullmatch(self.said, text) is not None

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("I will see to it.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Done(tell=IS_DONE)

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return Done(tell=IS_DONE)

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry, I could not see to it.")


class AskSoon(_Recorded):
    """Reminds and expires within seconds."""

    kind = "recorded_question"
    said = "remind me soon"

    async def approval(self, job: Job, *, services: Services) -> Approval:
        return Approval(
            question="May it be done?",
            remind_after=timedelta(seconds=6),
            expires_after=timedelta(seconds=14),
        )


class Print(_Recorded):
    """Streamed: three pages with news; the slow printer's last one takes longer than a stream lasts."""

    kind = "recorded_print"
    said = "watch the (fast|slow) printer"
    stop_cancels = True

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return self._page(1, check_in=8)

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        if state["page"] == LAST_PAGE:
            return Done(tell=IS_DONE)
        page = state["page"] + 1
        is_slow = page == LAST_PAGE and "slow" in job.request
        return self._page(page, check_in=110 if is_slow else 8)

    def _page(self, page: int, *, check_in: float) -> Outcome:
        return Waiting(
            state={"page": page},
            check_in=timedelta(seconds=check_in),
            progress=Progress(step=f"Page {page} is printed", percent=page * 25),
        )


class Break(_Recorded):
    """Breaks at one of its steps, each time; it is tried three times, which takes seconds."""

    kind = "recorded_break"
    said = "break at (begin|check|undo)"
    tries = 3

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        _break_at("begin", job)
        return Waiting(state={}, check_in=timedelta(seconds=3 if "check" in job.request else 3600))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        _break_at("check", job)
        if "undo" in job.request and not state:
            return Waiting(state={"checked": True}, check_in=timedelta(hours=1))
        return Done(tell=IS_DONE)

    async def cancel(self, job: Job, state: dict[str, Any], *, services: Services) -> Answer | Done:
        _break_at("undo", job)
        return Answer("I have cancelled it.")


def _break_at(step: str, job: Job) -> None:
    if step in job.request:
        raise ConnectionError("it is down")


class Count(_Recorded):
    """Is done two checks after its orchestration has started over."""

    kind = "recorded_count"
    said = "count to fifty-two"

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Waiting(state={"count": 0}, check_in=timedelta(seconds=100))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        count = state["count"] + 1
        if count == COUNTS:
            return Done(tell=IS_DONE)
        return Waiting(state={"count": count}, check_in=timedelta(seconds=100))


class Compose(_Recorded):
    """Breaks at its first try in a process, after some words."""

    kind = "recorded_composing"
    said = "compose what breaks"
    stop_cancels = True

    def __init__(self) -> None:
        self._tried: set[str] = set()

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Composing(progress=Progress(step="It is thought about"))

    async def compose(self, job: Job, *, services: Services) -> AsyncIterator[str | Progress | Citation]:
        if job.job_id not in self._tried:
            self._tried.add(job.job_id)
            yield "It is "
            await services.clock.sleep(2)
            raise ConnectionError("it is down")
        yield "It is done."


RECORDED_JOBS: list[JobDefinition] = [AskSoon(), Print(), Break(), Count(), Compose()]
