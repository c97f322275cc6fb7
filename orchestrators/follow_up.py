"""What a job gets by default: begun, waited out, checked, followed up."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import msgspec

from agent.jobs.catalog import job_of
from agent.jobs.definition import Job, Outcome, Waiting
from agent.task_hub import from_task_hub, to_task_hub
from orchestrators import steps

blueprint = df.Blueprint()

SHORTEST_WAIT = timedelta(seconds=1)
# After so many checks the orchestration starts over with what it knows, so that its history stays short.
CHECKS_AN_EXECUTION = 50


class Following(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the follow-up of a job is; the orchestration's input. ``told``: how many things it told."""

    job: Job
    outcome: Outcome | None = None
    told: int = 0


@blueprint.orchestration_trigger(context_name="context")
def follow_up(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Follow one job to its end; ``{"outcome", "told"}``.

    A job that breaks is told so to its user, and its orchestration ends as Failed.
    """
    following = from_task_hub(context.get_input(expected_type=dict), Following)
    job, outcome, told = following.job, following.outcome, following.told
    gives_up_at = job.requested_at + job_of(job).deadline
    completed = context.wait_for_external_event(steps.COMPLETED)
    for _ in range(CHECKS_AN_EXECUTION):
        try:
            if outcome is None:
                outcome = yield from steps.begin(context, job)
            else:
                outcome = yield from steps.check(context, job, outcome.state)
        except Exception:
            # Whatever an activity raises arrives as this, once its retries are used up.
            yield from steps.tell(context, job, told + 1, job_of(job).failure(job))
            context.set_custom_status({"step": "failed"})
            raise
        if outcome.tell is not None:
            told += 1
            yield from steps.tell(context, job, told, outcome.tell)
        if not isinstance(outcome, Waiting):
            context.set_custom_status({"step": "ended"})
            return {"outcome": type(outcome).__name__.lower(), "told": told}
        until_then = min(outcome.check_in, gives_up_at - context.current_utc_datetime)
        if (yield from steps.wait(context, max(until_then, SHORTEST_WAIT), completed)):
            completed = context.wait_for_external_event(steps.COMPLETED)
    context.continue_as_new(to_task_hub(Following(job=job, outcome=outcome, told=told)))
    return None


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
