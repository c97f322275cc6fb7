"""Stands for a kind of job that was taken out of the app while jobs of it were in flight."""

from datetime import timedelta
from typing import Any

from agent.answer import Answer
from agent.jobs.definition import Failed, Job, Outcome
from agent.ports import Services


class Withdrawn:
    kind = "withdrawn"
    title = "A job of the past"
    # It cuts no wait shorter than it was: where one took several timers, that would be another path.
    deadline = timedelta(days=36_500)

    def recognises(self, text: str) -> bool:
        return False

    def acknowledgement(self, job: Job) -> Answer:
        return self.failure(job)

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Failed(tell=self.failure(job))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return Failed(tell=self.failure(job))

    async def cancel(self, job: Job, state: dict[str, Any], *, services: Services) -> Answer:
        return self.failure(job)

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry, I can no longer do what you asked me for a while ago.")


WITHDRAWN = Withdrawn()
