"""The job's own steps: begin the outside work, check on it, end it. What raises is retried."""

import azure.durable_functions as df

from agent.jobs import running
from agent.jobs.definition import Job
from agent.task_hub import from_task_hub, to_task_hub
from composition import services

blueprint = df.Blueprint()


@blueprint.activity_trigger(input_name="job")
async def begin_job(job: dict) -> dict:
    """Begin a Job; its outcome."""
    return to_task_hub(await running.begin(from_task_hub(job, Job), services=services()))


@blueprint.activity_trigger(input_name="step")
async def check_job(step: dict) -> dict:
    """Make a Check; its outcome."""
    return to_task_hub(await running.check(from_task_hub(step, running.Check), services=services()))


@blueprint.activity_trigger(input_name="step")
async def cancel_job(step: dict) -> dict:
    """End the job of a Check; Cancelled, or Done where it was too late."""
    return to_task_hub(await running.cancel(from_task_hub(step, running.Check), services=services()))


@blueprint.activity_trigger(input_name="job")
async def note_broken_job(job: dict) -> dict:
    """Note on the board that a Job broke."""
    await running.note_failure(from_task_hub(job, Job), services=services())
    return {}
