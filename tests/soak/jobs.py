"""The kinds of job of a soak run; the request says what they are to do: ``soak plain 12.5 n17``."""

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from agent.answer import Answer, Citation
from agent.job_entry import Progress
from agent.jobs.definition import Composing, Done, Job, JobDefinition, Outcome, Waiting
from agent.ports import Services

JOURNAL = "SOAK_JOURNAL"  # the variable that names the file of what the jobs' handlers did
REQUEST = re.compile(r"soak (?P<kind>\w+) (?P<seconds>[\d.]+) n(?P<number>\d+)")
PIECES = 12


def request_of(job: Job) -> tuple[float, int]:
    """For how many seconds the job works, and the number of its turn."""
    asked = job.request["soak"] if isinstance(job.request, dict) else job.request
    found = REQUEST.search(str(asked).lower())
    assert found, "the request is not of a soak run"
    return float(found["seconds"]), int(found["number"])


@contextmanager
def noted(job: Job, what: str) -> Iterator[None]:
    """Write down when a handler is entered and left, and by which process."""
    _note(job, what, "entered")
    yield
    _note(job, what, "left")


def _note(job: Job, what: str, event: str) -> None:
    """A line is one write, and so whole."""
    noted = {"jobId": job.job_id, "what": what, "event": event, "at": time.time(), "pid": os.getpid()}
    line = json.dumps(noted) + "\n"
    file = os.open(Path(os.environ[JOURNAL]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


class SoakJob:
    """What all kinds have: their words, each with the number of the turn."""

    kind = ""
    title = "Soak"
    deadline = timedelta(hours=1)

    def recognises(self, text: str) -> bool:
        found = REQUEST.match(text)
        return bool(found and f"soak_{found['kind']}" == self.kind)

    def acknowledgement(self, job: Job) -> Answer:
        return Answer(f"Soak n{request_of(job)[1]} is taken on.")

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return self.done(job)

    def failure(self, job: Job) -> Answer:
        return Answer(f"Soak n{request_of(job)[1]} broke.")

    def done(self, job: Job) -> Done:
        return Done(tell=Answer(f"Soak n{request_of(job)[1]} is done."))

    async def work(self, job: Job) -> Done:
        with noted(job, "begin"):
            await asyncio.sleep(request_of(job)[0])
            return self.done(job)

    def wait(self, job: Job) -> Waiting:
        seconds, number = request_of(job)
        with noted(job, "begin"):
            return Waiting(
                state={},
                check_in=timedelta(seconds=seconds),
                progress=Progress(step=f"Soak n{number} goes on", percent=50),
            )


class SoakPlain(SoakJob):
    """Its work is done while it begins."""

    kind = "soak_plain"

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return await self.work(job)


class SoakWaiting(SoakJob):
    """Its work is done elsewhere, and looked for once."""

    kind = "soak_waiting"

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return self.wait(job)


class SoakStreamed(SoakPlain):
    """As the plain one, shown as a stream where the channel streams."""

    kind = "soak_streamed"
    stop_cancels = True


class SoakPatient(SoakWaiting):
    """As the waiting one, shown as a stream where the channel streams."""

    kind = "soak_patient"
    stop_cancels = False


class SoakComposed(SoakJob):
    """Half of its time it has nothing to say, then it says a piece after the other."""

    kind = "soak_composed"
    stop_cancels = True

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        with noted(job, "begin"):
            return Composing()

    async def compose(self, job: Job, *, services: Services) -> AsyncIterator[str | Progress | Citation]:
        seconds, number = request_of(job)
        with noted(job, "compose"):
            yield Progress(step=f"Soak n{number} thinks")
            await asyncio.sleep(seconds / 2)
            for piece in range(PIECES):
                yield f"Piece {piece} of soak. "
                await asyncio.sleep(seconds / 2 / PIECES)
            yield f"Soak n{number} is done."


SOAK_JOBS: list[JobDefinition] = [
    SoakPlain(),
    SoakWaiting(),
    SoakStreamed(),
    SoakPatient(),
    SoakComposed(),
]
