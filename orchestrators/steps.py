"""The steps of a job as small generators, for orchestrators to put together by ``yield from``.

They decide order and time, nothing else. Each side effect is an activity function with retries; what an
activity returns is typed here, what it raises arrives as a bare Exception (azure-functions-durable 1.7).
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any, TypeAlias

import azure.durable_functions as df

from activities.run_job import begin_job, check_job
from activities.send_follow_up import send_follow_up
from agent.answer import Answer
from agent.follow_up import FollowUp, FollowUpSent
from agent.jobs.definition import Job, Outcome
from agent.jobs.running import Check
from agent.task_hub import from_task_hub, to_task_hub

Context: TypeAlias = df.DurableOrchestrationContext

# Five tries, ten seconds apart: Durable Functions for Python knows a fixed interval only.
RETRIES = df.RetryOptions(10_000, 5)
COMPLETED = "completed"  # the external event that ends a wait early
LONGEST_BUSY_SECONDS = 60.0
MOST_BUSY_WAITS = 60


def begin(context: Context, job: Job) -> Generator[Any, Any, Outcome]:
    """Start the outside work."""
    context.set_custom_status({"step": "beginning"})
    plain = yield context.call_activity_with_retry(begin_job, RETRIES, to_task_hub(job))
    outcome: Outcome = from_task_hub(plain, Outcome)
    return outcome


def check(context: Context, job: Job, state: dict[str, Any]) -> Generator[Any, Any, Outcome]:
    """See how far the outside work is."""
    context.set_custom_status({"step": "checking"})
    step = to_task_hub(Check(job=job, state=state))
    plain = yield context.call_activity_with_retry(check_job, RETRIES, step)
    outcome: Outcome = from_task_hub(plain, Outcome)
    return outcome


def wait(context: Context, time: timedelta, completed: Any | None) -> Generator[Any, Any, bool]:
    """Wait for ``time``, or until the event task ``completed`` ends, if one is given; whether it did.

    The event only wakes: what it reports must have been written down before, for the check to find it.
    Once it has ended, give None: it would end each wait at once.
    """
    until = context.current_utc_datetime + time
    context.set_custom_status({"step": "waiting", "until": until.isoformat()})
    timer = context.create_timer(until)
    if completed is None:
        yield timer
        return False
    first = yield context.task_any([timer, completed])
    if first is completed:
        timer.cancel()
    return first is completed


def tell(context: Context, job: Job, number: int, answer: Answer) -> Generator[Any, Any, FollowUpSent]:
    """Tell the user the ``number``-th thing of this job; while the channel is busy, wait in a timer."""
    context.set_custom_status({"step": "telling", "number": number})
    follow_up = to_task_hub(FollowUp(job=job, number=number, answer=answer))
    for _ in range(MOST_BUSY_WAITS):
        plain = yield context.call_activity_with_retry(send_follow_up, RETRIES, follow_up)
        sent: FollowUpSent = from_task_hub(plain, FollowUpSent)
        if sent.outcome != "busy":
            return sent
        pause = timedelta(seconds=min(max(sent.retry_in, 1.0), LONGEST_BUSY_SECONDS))
        yield context.create_timer(context.current_utc_datetime + pause)
    raise RuntimeError("the channel was busy for too long")
