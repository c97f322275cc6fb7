"""How a job's steps are run: by its definition, within its deadline, each noted on the board.

Called by the activities.
"""

from typing import Any

import msgspec

from agent.answer import Answer
from agent.jobs.catalog import job_of
from agent.jobs.definition import Cancellable, Cancelled, Done, Failed, Job, Outcome, Waiting
from agent.jobs.entries import entry_of
from agent.ports import Services


class Check(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One check of a job, or its cancelling; ``state`` is what the step before it handed on."""

    job: Job
    state: dict[str, Any]


async def begin(job: Job, *, services: Services) -> Outcome:
    """Start the job's outside work. Raises what the definition raises."""
    outcome = await job_of(job).begin(job, services=services)
    await _note(job, outcome, services=services)
    return outcome


async def check(step: Check, *, services: Services) -> Outcome:
    """How far the job is; a failure once its deadline is over. Raises as ``begin`` does."""
    definition = job_of(step.job)
    outcome = await definition.check(step.job, step.state, services=services)
    if isinstance(outcome, Waiting) and services.clock.now() - step.job.requested_at > definition.deadline:
        outcome = Failed(tell=definition.failure(step.job))
    await _note(step.job, outcome, services=services)
    return outcome


async def cancel(step: Check, *, services: Services) -> Cancelled | Done:
    """End the job by its definition, which may find that it is too late. Raises as ``begin`` does."""
    definition = job_of(step.job)
    ended: Answer | Done = Answer(f"I have cancelled: {definition.title}.")
    if isinstance(definition, Cancellable):
        ended = await definition.cancel(step.job, step.state, services=services)
    outcome = Cancelled(tell=ended) if isinstance(ended, Answer) else ended
    await _note(step.job, outcome, services=services)
    return outcome


async def note_failure(job: Job, *, services: Services) -> None:
    """Note that the job broke."""
    await _note(job, Failed(tell=job_of(job).failure(job)), services=services)


async def _note(job: Job, outcome: Outcome | Cancelled, *, services: Services) -> None:
    await services.job_board.put(entry_of(job, outcome, at=services.clock.now()))
