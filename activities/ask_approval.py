"""A job's approval: asked for, reminded of, ended, and shown as it ended. What raises is retried."""

import azure.durable_functions as df

from agent import asking
from agent.jobs.definition import Job
from agent.task_hub import from_task_hub, to_task_hub
from composition import services

blueprint = df.Blueprint()


@blueprint.activity_trigger(input_name="job")
async def ask_approval(job: dict) -> dict:
    """Put the question of a Job to whom it is for; how it went, as Asked."""
    return to_task_hub(await asking.ask(from_task_hub(job, Job), services=services()))


@blueprint.activity_trigger(input_name="step")
async def remind_approval(step: dict) -> dict:
    """Remind of the question, once; how it went, as Shown."""
    return to_task_hub(await asking.remind(from_task_hub(step, asking.Asking), services=services()))


@blueprint.activity_trigger(input_name="step")
async def settle_approval(step: dict) -> dict:
    """Read the answer of a Settling, or end the approval; as Settled."""
    return to_task_hub(await asking.settle(from_task_hub(step, asking.Settling), services=services()))


@blueprint.activity_trigger(input_name="step")
async def show_approval(step: dict) -> dict:
    """Show how the approval ended, where it was asked for; how it went, as Shown."""
    return to_task_hub(await asking.show(from_task_hub(step, asking.Asking), services=services()))
