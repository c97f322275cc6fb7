"""The job's own steps: begin the outside work, and check on it. What raises, the orchestration retries."""

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
