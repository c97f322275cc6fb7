"""The app, with a kind of job more, which breaks for as long as the file that MENDED names is not there."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
from agent.answer import Answer
from agent.jobs import catalog
from agent.jobs.definition import Done, Job, Outcome
from agent.ports import Services


def is_mended() -> bool:
    return Path(os.environ["MENDED"]).exists()


class Shake:
    kind = "shake"
    title = "Shake"
    deadline = timedelta(hours=1)
    tries = 2

    def recognises(self, text: str) -> bool:
        return text.startswith("shake")

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("I am shaking.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        if not is_mended():
            raise RuntimeError(f"{job.request} cannot be shaken")
        return Done(tell=Answer(f"Shaken: {job.request}"))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        raise AssertionError("it never waits")

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry, I could not shake.")


catalog.JOBS.append(Shake())

# This module has the name of that one, which is looked for anew.
del sys.modules["function_app"]
import function_app  # noqa: E402

app: df.DFApp = function_app.app
