"""The follow-up as it was before jobs could be cancelled: what begins with it must go on with today's.

Kept as it was: it stands for histories that are in flight.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import azure.durable_functions as df

from activities.run_job import begin_job, check_job
from activities.send_follow_up import give_up_follow_up, send_follow_up
from agent.answer import Answer
from agent.follow_up import FollowUp, FollowUpSent
from agent.jobs.catalog import job_of
from agent.jobs.definition import Job, Outcome, Waiting
from agent.jobs.running import Check
from agent.task_hub import from_task_hub, to_task_hub
from orchestrators.following import Following

blueprint = df.Blueprint()

RETRIES = df.RetryOptions(10_000, 5)


@blueprint.orchestration_trigger(context_name="context")  # type: ignore[untyped-decorator]
def follow_up(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    following = from_task_hub(context.get_input(expected_type=dict), Following)
    job, outcome, told = following.job, following.outcome, following.told
    gives_up_at = job.requested_at + job_of(job).deadline
    completed = context.wait_for_external_event("completed")
    for _ in range(50):
        try:
            if outcome is None:
                outcome = yield from begin(context, job)
            else:
                outcome = yield from check(context, job, outcome.state)
        except Exception:
            yield from tell(context, job, told + 1, job_of(job).failure(job))
            context.set_custom_status({"step": "failed"})
            raise
        if outcome.tell is not None:
            told += 1
            yield from tell(context, job, told, outcome.tell)
        if not isinstance(outcome, Waiting):
            context.set_custom_status({"step": "ended"})
            return {"outcome": type(outcome).__name__.lower(), "told": told}
        until_then = min(outcome.check_in, gives_up_at - context.current_utc_datetime)
        if (yield from wait(context, max(until_then, timedelta(seconds=1)), completed)):
            completed = context.wait_for_external_event("completed")
    context.continue_as_new(to_task_hub(Following(job=job, outcome=outcome, told=told)))
    return None


def begin(context: Any, job: Job) -> Generator[Any, Any, Outcome]:
    context.set_custom_status({"step": "beginning"})
    plain = yield context.call_activity_with_retry(begin_job, RETRIES, to_task_hub(job))
    outcome: Outcome = from_task_hub(plain, Outcome)
    return outcome


def check(context: Any, job: Job, state: dict[str, Any]) -> Generator[Any, Any, Outcome]:
    context.set_custom_status({"step": "checking"})
    step = to_task_hub(Check(job=job, state=state))
    plain = yield context.call_activity_with_retry(check_job, RETRIES, step)
    outcome: Outcome = from_task_hub(plain, Outcome)
    return outcome


def wait(context: Any, time: timedelta, completed: Any) -> Generator[Any, Any, bool]:
    until = context.current_utc_datetime + time
    context.set_custom_status({"step": "waiting", "until": until.isoformat()})
    while context.current_utc_datetime < until:
        timer = context.create_timer(min(until, context.current_utc_datetime + timedelta(days=5)))
        if (yield context.task_any([timer, completed])) is completed:
            timer.cancel()
            return True
    return False


def tell(context: Any, job: Job, number: int, answer: Answer) -> Generator[Any, Any, FollowUpSent]:
    context.set_custom_status({"step": "telling", "number": number})
    follow_up = to_task_hub(FollowUp(job=job, number=number, answer=answer))
    for _ in range(60):
        try:
            plain = yield context.call_activity_with_retry(send_follow_up, RETRIES, follow_up)
        except Exception:  # noqa: BLE001 - whatever an activity raises arrives as this
            pause = timedelta(minutes=1)
        else:
            sent: FollowUpSent = from_task_hub(plain, FollowUpSent)
            if sent.outcome != "busy":
                return sent
            pause = min(max(timedelta(seconds=sent.retry_in), timedelta(seconds=1)), timedelta(hours=1))
        yield context.create_timer(context.current_utc_datetime + pause)
    try:
        plain = yield context.call_activity_with_retry(give_up_follow_up, RETRIES, follow_up)
    except Exception:  # noqa: BLE001 - as above
        return FollowUpSent(outcome="failed")
    given_up: FollowUpSent = from_task_hub(plain, FollowUpSent)
    return given_up
