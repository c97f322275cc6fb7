"""How a job's steps are run: by its definition, within its deadline. Called by the activities."""

from typing import Any

import msgspec

from agent.jobs.catalog import job_of
from agent.jobs.definition import Failed, Job, Outcome, Waiting
from agent.ports import Services


class Check(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One check of a job; ``state`` is what the step before it handed on."""

    job: Job
    state: dict[str, Any]


async def begin(job: Job, *, services: Services) -> Outcome:
    """Start the job's outside work. Raises what the definition raises."""
    return await job_of(job).begin(job, services=services)


async def check(step: Check, *, services: Services) -> Outcome:
    """How far the job is; a failure once its deadline is over. Raises as ``begin`` does."""
    definition = job_of(step.job)
    outcome = await definition.check(step.job, step.state, services=services)
    if isinstance(outcome, Waiting) and services.clock.now() - step.job.requested_at > definition.deadline:
        return Failed(tell=definition.failure(step.job))
    return outcome
