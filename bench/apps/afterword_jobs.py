"""The bench's function app with one more kind of job: a reminder, whose check is due at a given moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

from agent.answer import Answer
from agent.jobs import catalog
from agent.jobs.definition import Done, Job, Outcome, Waiting
from agent.ports import Services
from bench.reminder import ACKNOWLEDGEMENT, due_of


class Reminder:
    kind = "bench_reminder"
    title = "Be reminded"
    deadline = timedelta(days=1)

    def recognises(self, text: str) -> bool:
        return due_of(text) is not None

    def acknowledgement(self, job: Job) -> Answer:
        return Answer(ACKNOWLEDGEMENT)

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        due = due_of(str(job.request))
        assert due is not None
        return Waiting(state={}, check_in=datetime.fromtimestamp(due, UTC) - services.clock.now())

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return Done(tell=Answer("You asked to be reminded."))

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry, I could not remind you.")


catalog.JOBS = [*catalog.JOBS, Reminder()]  # before the bot and the orchestrator take it

from bench.apps.afterword_app import app  # noqa: E402 (devhost looks for it here)

__all__ = ["app"]
