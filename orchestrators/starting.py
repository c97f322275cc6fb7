"""How a job's orchestration is started, woken by an answer, and told to stop, whichever it is."""

import azure.durable_functions as df

from agent.jobs.catalog import job_of, with_terms
from agent.jobs.definition import Approved, Job
from agent.task_hub import to_task_hub
from orchestrators import steps
from orchestrators.approval import ANSWERED
from orchestrators.following import Following

# The names of the orchestrator functions: they stand in the orchestrations in flight.
APPROVAL, FOLLOW_UP = "approval", "follow_up"
STILL_RUNNING = (df.OrchestrationRuntimeStatus.Pending, df.OrchestrationRuntimeStatus.Running)


async def start_job(durable_client: df.DurableOrchestrationClient, job: Job, *, may_exist: bool) -> None:
    """Store the job durably: start its orchestration, whose instance id is the job's.

    ``may_exist``: a delivery that died may have started it already. The host would start an instance
    that has ended once more, so it is asked first.
    """
    if may_exist:
        status = await durable_client.get_status(job.job_id)
        if status and status.instance_id:
            return
    name = APPROVAL if isinstance(job_of(job), Approved) else FOLLOW_UP
    await durable_client.start_new(name, job.job_id, to_task_hub(Following(job=with_terms(job))))


async def cancel_job(durable_client: df.DurableOrchestrationClient, job_id: str) -> bool:
    """Have a job stop as soon as it waits; False where it has ended, or there is none."""
    return await _raise_event(durable_client, job_id, steps.CANCEL)


async def is_running(durable_client: df.DurableOrchestrationClient, job_id: str) -> bool:
    """Whether the job's orchestration has not ended yet."""
    status = await durable_client.get_status(job_id)
    return bool(status and status.runtime_status in STILL_RUNNING)


async def wake_job(durable_client: df.DurableOrchestrationClient, job_id: str) -> bool:
    """Have a job see that what it asked is answered; False where it has ended, or there is none."""
    return await _raise_event(durable_client, job_id, ANSWERED)


async def _raise_event(durable_client: df.DurableOrchestrationClient, job_id: str, event_name: str) -> bool:
    try:
        await durable_client.raise_event(job_id, event_name)
    except Exception:
        # The SDK raises this for all that is not 202: 410 where it has ended, 404 where there is none.
        status = await durable_client.get_status(job_id)
        if status and status.runtime_status in STILL_RUNNING:
            raise
        return False
    return True
