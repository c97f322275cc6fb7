"""What a job gets by default: begun, waited out, checked, followed up; or cancelled by its user."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df

from agent.jobs.definition import Job
from agent.task_hub import from_task_hub, to_task_hub
from orchestrators import steps
from orchestrators.following import Following, follow

blueprint = df.Blueprint()

STILL_RUNNING = (df.OrchestrationRuntimeStatus.Pending, df.OrchestrationRuntimeStatus.Running)


@blueprint.orchestration_trigger(context_name="context")
def follow_up(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Follow one job to its end; ``{"outcome", "told"}``.

    A job that breaks is told so to its user, and its orchestration ends as Failed.
    """
    following = from_task_hub(context.get_input(expected_type=dict), Following)
    return (yield from follow(context, following))


async def cancel_follow_up(durable_client: df.DurableOrchestrationClient, job_id: str) -> bool:
    """Have a job stop as soon as it waits; False where it has ended, or there is none."""
    try:
        await durable_client.raise_event(job_id, steps.CANCEL)
    except Exception:
        # The SDK raises this for all that is not 202: 410 where it has ended, 404 where there is none.
        status = await durable_client.get_status(job_id)
        if status and status.runtime_status in STILL_RUNNING:
            raise
        return False
    return True


async def is_followed_up(durable_client: df.DurableOrchestrationClient, job_id: str) -> bool:
    """Whether the job's orchestration has not ended yet."""
    status = await durable_client.get_status(job_id)
    return bool(status and status.runtime_status in STILL_RUNNING)


async def start_follow_up(
    durable_client: df.DurableOrchestrationClient, job: Job, *, may_exist: bool
) -> None:
    """Store the job durably: start its orchestration, whose instance id is the job's.

    ``may_exist``: a delivery that died may have started it already. The host would start an instance
    that has ended once more, so it is asked first.
    """
    if may_exist:
        status = await durable_client.get_status(job.job_id)
        if status and status.instance_id:
            return
    await durable_client.start_new("follow_up", job.job_id, to_task_hub(Following(job=job)))
