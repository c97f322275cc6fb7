"""How a job's steps are run: by its definition, within its deadline, each noted on the board.

Called by the activities.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from agent.answer import Answer
from agent.job_entry import owner_key
from agent.jobs.again import note_poisoned, with_try_again
from agent.jobs.catalog import gives_up_at, job_of, title_of
from agent.jobs.definition import Cancellable, Cancelled, Done, Failed, Job, Outcome, Waiting
from agent.jobs.entries import entry_of
from agent.ports import Services
from agent.setbacks import reason_of

OUT_OF_TIME = "it was not done by its deadline"
UNKNOWN_REASON = "its process died, or could not say why"
# An activity function is killed, and its process with it, after the host's functionTimeout: five minutes.
STEP_LASTS = timedelta(minutes=4, seconds=45)
AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


class Check(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One check of a job, or its cancelling; ``state`` is what the step before it handed on."""

    job: Job
    state: dict[str, Any]


async def begin(job: Job, *, services: Services) -> Outcome:
    """Start the job's outside work. Raises what the definition raises."""
    async with noting_why(job, "begin", services=services):
        outcome = offered(job, await job_of(job).begin(job, services=services))
    await note(job, outcome, services=services)
    return outcome


async def check(step: Check, *, services: Services) -> Outcome:
    """How far the job is; a failure once its deadline is over. Raises as ``begin`` does."""
    definition = job_of(step.job)
    async with noting_why(step.job, "check", services=services):
        outcome = offered(step.job, await definition.check(step.job, step.state, services=services))
    if isinstance(outcome, Waiting) and services.clock.now() > gives_up_at(step.job):
        return await end_broken(step.job, OUT_OF_TIME, services=services)
    await note(step.job, outcome, services=services)
    return outcome


async def cancel(step: Check, *, services: Services) -> Cancelled | Done:
    """End the job by its definition, which may find that it is too late. Raises as ``begin`` does."""
    definition = job_of(step.job)
    ended: Answer | Done = Answer(f"I have cancelled: {title_of(step.job)}.")
    if isinstance(definition, Cancellable):
        async with noting_why(step.job, "cancel", services=services):
            ended = await definition.cancel(step.job, step.state, services=services)
    outcome = Cancelled(tell=ended) if isinstance(ended, Answer) else ended
    await note(step.job, outcome, services=services)
    return outcome


async def note_failure(job: Job, *, services: Services) -> None:
    """Note that the job broke: on the board, and in the ledger, from which it can be run again."""
    known = await services.job_board.find(owner_key(job.requested_by), job.job_id)
    await end_broken(job, known.reason if known and known.reason else UNKNOWN_REASON, services=services)


def broken(job: Job) -> Failed:
    """How a job ends that broke: its user is told, and may try again."""
    return offered(job, Failed(tell=job_of(job).failure(job), may_try_again=True))


@asynccontextmanager
async def noting_why(job: Job, step: str, *, services: Services) -> AsyncIterator[None]:
    """Where the step breaks, leave on the board why: by the error's class and our own words alone.

    One that hangs breaks by TimeoutError.
    """
    try:
        async with asyncio.timeout(STEP_LASTS.total_seconds()):
            yield
    except Exception as error:
        # Whatever it is, it goes on to the orchestrator, in words that may quote anything.
        with suppress(Exception):  # a board that breaks as well is not to hide it
            await _note_why(job, f"{step}: {reason_of(error)}", services=services)
        raise


async def _note_why(job: Job, reason: str, *, services: Services) -> None:
    now = services.clock.now()
    known = await services.job_board.find(owner_key(job.requested_by), job.job_id)
    entry = known or entry_of(job, None, at=now)
    await services.job_board.put(msgspec.structs.replace(entry, reason=reason, updated_at=now))


async def end_broken(job: Job, reason: str, *, services: Services) -> Failed:
    """End the job as broken, noted as ``note_failure`` does; what its user is told."""
    await note_poisoned(job, reason, ledger=services.ledger, clock=services.clock)
    outcome = broken(job)
    entry = entry_of(job, outcome, at=services.clock.now())
    await services.job_board.put(msgspec.structs.replace(entry, reason=reason))
    return outcome


def offered(job: Job, outcome: AnyOutcome) -> AnyOutcome:
    """The outcome; a failure that may be tried again with a button for that."""
    if isinstance(outcome, Failed) and outcome.may_try_again:
        return msgspec.structs.replace(outcome, tell=with_try_again(outcome.tell, job.job_id))
    return outcome


async def note(job: Job, outcome: Outcome | Cancelled, *, services: Services) -> None:
    """Note on the board what became of the job's step."""
    await services.job_board.put(entry_of(job, outcome, at=services.clock.now()))
