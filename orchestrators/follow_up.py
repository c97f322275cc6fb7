"""What a job gets by default: begun, waited out, checked, followed up; or cancelled by its user."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import msgspec

from agent.answer import Answer
from agent.jobs.catalog import job_of
from agent.jobs.definition import Cancelled, Done, Job, Outcome, Waiting
from agent.task_hub import from_task_hub, to_task_hub
from orchestrators import steps

blueprint = df.Blueprint()

SHORTEST_WAIT = timedelta(seconds=1)
# After so many checks the orchestration starts over with what it knows, so that its history stays short.
CHECKS_AN_EXECUTION = 50
STILL_RUNNING = (df.OrchestrationRuntimeStatus.Pending, df.OrchestrationRuntimeStatus.Running)


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
    cancelled = context.wait_for_external_event(steps.CANCEL)
    for _ in range(CHECKS_AN_EXECUTION):
        try:
            if outcome is None:
                outcome = yield from steps.begin(context, job)
            else:
                outcome = yield from steps.check(context, job, outcome)
        except Exception:
            # Whatever an activity raises arrives as this, once its retries are used up.
            yield from _break(context, job, told + 1)
            raise
        if outcome.tell is not None:
            told += 1
            yield from steps.tell(context, job, told, outcome.tell, steps.progress_of(outcome))
        if not isinstance(outcome, Waiting):
            return _end(context, outcome, told)
        until_then = min(outcome.check_in, gives_up_at - context.current_utc_datetime)
        woken_by = yield from steps.wait(
            context, max(until_then, SHORTEST_WAIT), cancelled, completed, progress=outcome.progress
        )
        if woken_by is completed:
            completed = context.wait_for_external_event(steps.COMPLETED)
        elif woken_by is cancelled:
            told += 1
            ended = yield from _cancel(context, job, outcome, told)
            if ended is not None:
                return _end(context, ended, told)
            break  # an event that came early ends each later wait, until the orchestration starts over
    context.continue_as_new(to_task_hub(Following(job=job, outcome=outcome, told=told)))
    return None


def _break(context: df.DurableOrchestrationContext, job: Job, number: int) -> Generator[Any, Any, None]:
    """Tell the user that the job broke, and have the board say so."""
    yield from steps.tell(context, job, number, job_of(job).failure(job))
    yield from steps.note_broken(context, job)
    steps.show(context, "failed")


def _cancel(
    context: df.DurableOrchestrationContext, job: Job, waiting: Waiting, number: int
) -> Generator[Any, Any, Cancelled | Done | None]:
    """End the job for its user, and tell them; None where it could not be ended, and goes on."""
    ended = yield from steps.cancel(context, job, waiting)
    title = job_of(job).title
    sorry = Answer(f"I am sorry, I could not cancel: {title}. It goes on; please try to cancel it again.")
    yield from steps.tell(context, job, number, ended.tell if ended else sorry, waiting.progress)
    return ended


def _end(
    context: df.DurableOrchestrationContext, outcome: Outcome | Cancelled, told: int
) -> dict[str, str | int]:
    steps.show(context, "cancelled" if isinstance(outcome, Cancelled) else "ended")
    return {"outcome": type(outcome).__name__.lower(), "told": told}


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
