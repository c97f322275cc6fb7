"""What a job gets that needs an approval: that is asked for and waited for, then the job is followed up."""

from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

import azure.durable_functions as df
import msgspec

from activities.ask_approval import ask_approval, remind_approval, settle_approval, show_approval
from agent.asking import WAITING, Asked, Asking, Settled, Settling, Shown, Wanted
from agent.job_entry import JobState
from agent.jobs.definition import Cancelled, Failed, Job, Rejected
from agent.jobs.running import broken
from agent.task_hub import reader, to_task_hub
from agent.view import View
from orchestrators import steps
from orchestrators.following import Following, follow

blueprint = df.Blueprint()
read_following, read_settled = reader(Following), reader(Settled)
read_asked, read_shown = reader(Asked), reader(Shown)

ANSWERED = "answered"  # the external event that says that an answer was written down
Ended = Rejected | Failed | Cancelled
STATES: dict[type, JobState] = {Rejected: "rejected", Failed: "failed", Cancelled: "cancelled"}
# A card that cannot be shown as answered is left as it was; a question that cannot be put ends the job.
MOST_TRIES_TO_ASK, MOST_TRIES_TO_SHOW, MOST_TRIES_TO_SETTLE = 60, 5, 30
LONGEST_PAUSE = timedelta(minutes=1)
# The SDK gives an event that came early to each later wait: one that tells of no answer is heeded so often.
MOST_WAKES = 5


@blueprint.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Ask, and follow the job to its end where the answer is yes; ``{"outcome", "told"}``.

    It ends as ``rejected``, ``failed`` (not answered in time) or ``cancelled`` where nobody said yes.
    """
    following = read_following(context.get_input(expected_type=dict))
    job, view = following.job, following.view
    # One for all of its way: the SDK gives an event to the newest that was waited for by its name.
    cancelled = context.wait_for_external_event(steps.CANCEL)
    if not following.is_approved:
        try:
            ended, view = yield from _approved(context, job, view, cancelled)
        except Exception:
            # Whatever an activity raises arrives as this, once its retries are used up.
            yield from steps.note_broken(context, job)
            yield from _end(context, job, broken(job), view)
            raise
        if ended is not None:
            yield from _end(context, job, ended, view)
            return {"outcome": STATES[type(ended)], "told": 1}
    following = msgspec.structs.replace(following, view=view, is_approved=True)
    return (yield from follow(context, following, cancelled=cancelled))


def _end(context: steps.Context, job: Job, ended: Ended, view: View | None) -> Generator[Any, Any, None]:
    """Tell the user that the job was not begun, the first and last thing that they are told."""
    yield from steps.tell(context, job, 1, ended.tell, stream=view.open_stream if view else None)
    yield from steps.show_ended(context, job, view, STATES[type(ended)])
    steps.show(context, STATES[type(ended)])


def _approved(
    context: steps.Context, job: Job, view: View | None, cancelled: Any
) -> Generator[Any, Any, tuple[Ended | None, View | None]]:
    """Ask and wait; how the job ended by it, None where the answer is yes."""
    steps.show(context, "asking")
    asked: Asked = yield from _until_taken(
        context, ask_approval, to_task_hub(job), read_asked, tries=MOST_TRIES_TO_ASK
    )
    if asked.outcome == "not needed":
        return None, view
    if asked.outcome != "asked":
        settled = yield from _settle(context, job, "unreachable")
        return settled.ended, view
    view = yield from steps.show_job(context, job, view, WAITING.progress)
    ended = yield from _answer(context, job, asked, cancelled)
    with suppress(Exception):  # whatever an activity raises: the answer counts all the same
        yield from _until_taken(
            context,
            show_approval,
            to_task_hub(Asking(job=job, asked=asked)),
            read_shown,
            tries=MOST_TRIES_TO_SHOW,
        )
    return ended, view


def _answer(
    context: steps.Context, job: Job, asked: Asked, cancelled: Any
) -> Generator[Any, Any, Ended | None]:
    """Wait for the answer, and remind once; the event only wakes, what was answered is read."""
    assert asked.remind_at and asked.expires_at, "who was asked has some time"
    answered = context.wait_for_external_event(ANSWERED)
    is_reminded = asked.remind_at >= asked.expires_at
    wakes = 0
    while True:
        until = asked.expires_at if is_reminded else asked.remind_at
        events = (answered, cancelled) if wakes < MOST_WAKES else (cancelled,)
        woken_by = yield from steps.wait(
            context, until - context.current_utc_datetime, *events, progress=WAITING.progress
        )
        wanted: Wanted = ""
        if woken_by is cancelled:
            wanted = "withdrawn"
        elif woken_by is answered:
            answered = context.wait_for_external_event(ANSWERED)
            wakes += 1
        elif is_reminded:
            wanted = "expired"
        settled = yield from _settle(context, job, wanted)
        if not settled.is_open:
            return settled.ended
        if woken_by is None:
            is_reminded = True
            yield from _remind(context, job, asked)


def _settle(context: steps.Context, job: Job, wanted: Wanted) -> Generator[Any, Any, Settled]:
    """What was answered; where nothing was, the approval ends as it is ``wanted``.

    What was waited for over days is not given up for storage that is down for minutes.
    """
    steps.show(context, "reading the answer")
    settling = to_task_hub(Settling(job=job, wanted=wanted))
    for tries in count(1):
        try:
            plain = yield context.call_activity_with_retry(settle_approval, steps.RETRIES, settling)
        except Exception:
            # Whatever an activity raises arrives as this.
            if tries == MOST_TRIES_TO_SETTLE:
                raise
        else:
            settled: Settled = read_settled(plain)
            return settled
        yield context.create_timer(context.current_utc_datetime + steps.SETBACK_WAIT)
    raise AssertionError("the numbers have an end")


def _remind(context: steps.Context, job: Job, asked: Asked) -> Generator[Any, Any, None]:
    asking = to_task_hub(Asking(job=job, asked=asked))
    with suppress(Exception):  # as above: the question stands without its reminder
        yield from _until_taken(context, remind_approval, asking, read_shown, tries=MOST_TRIES_TO_SHOW)


def _until_taken(
    context: steps.Context, function: Any, given: Any, read: Callable[[Any], Any], *, tries: int
) -> Generator[Any, Any, Any]:
    """What the activity function gives; while the channel is busy this waits in a timer and tries again."""
    for last_try in (*(False,) * (tries - 1), True):
        plain = yield context.call_activity_with_retry(function, steps.RETRIES, given)
        result = read(plain)
        if result.outcome != "busy" or last_try:
            return result
        pause = min(max(timedelta(seconds=result.retry_in), steps.BUSY_WAITS[0]), LONGEST_PAUSE)
        yield context.create_timer(context.current_utc_datetime + pause)
    raise AssertionError("the last try returns")
