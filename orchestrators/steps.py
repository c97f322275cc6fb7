"""The steps of a job as small generators, for orchestrators to put together by ``yield from``.

They decide order and time, nothing else. Each side effect is an activity function with retries; what an
activity returns is typed here, what it raises arrives as a bare Exception (azure-functions-durable 1.7).
"""

from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any, TypeAlias

import azure.durable_functions as df

from activities.compose_answer import compose_answer
from activities.run_job import begin_job, cancel_job, check_job, note_broken_job
from activities.send_follow_up import give_up_follow_up, send_follow_up
from activities.show_job import show_job as show_job_function
from agent.answer import Answer
from agent.composing import ComposedOutcome, Composition
from agent.follow_up import FollowUp, FollowUpSent
from agent.job_entry import JobState, Progress
from agent.job_view import Showed, Showing
from agent.jobs.catalog import TRIES, gives_up_at
from agent.jobs.definition import Cancelled, Done, Job, Outcome, Waiting
from agent.jobs.running import Check
from agent.stream import OpenStream
from agent.task_hub import reader, to_task_hub
from agent.view import View

Context: TypeAlias = df.DurableOrchestrationContext
# How the end of an activity function is waited for.
Working: TypeAlias = Callable[[Any], Generator[Any, Any, Any]]

read_outcome, read_composed, read_ended = reader(Outcome), reader(ComposedOutcome), reader(Cancelled | Done)
read_showed, read_sent = reader(Showed), reader(FollowUpSent)

# Five tries, ten seconds apart: Durable Functions for Python knows a fixed interval only. For what touches
# our own storage and the channel, and for the steps of jobs of version 1, whose histories are in flight.
RETRIES = df.RetryOptions(10_000, 5)
SHORTEST_BACK_OFF, LONGEST_BACK_OFF = timedelta(seconds=5), timedelta(minutes=5)
COMPLETED = "completed"  # the external event that ends a wait early
CANCEL = "cancel"  # the one by which the user ends the job
LONGEST_TIMER = timedelta(days=5)  # above six, the SDK makes several timers of one, and cannot cancel them
BUSY_WAITS = (timedelta(seconds=1), timedelta(hours=1))  # the shortest and the longest
SETBACK_WAIT = timedelta(minutes=1)
MOST_WAITS_TO_TELL = 60


def show(context: Context, step: str, progress: Progress | None = None, **more: Any) -> None:
    """Say in the orchestration's custom status where the job is."""
    status = {"step": step, **more}
    context.set_custom_status({**status, "progress": to_task_hub(progress)} if progress else status)


def call(context: Context, job: Job, function: Any, given: dict[str, Any]) -> Any:
    """The task of one try of a job's own step; ``pause_after`` says when to try it anew."""
    if job.version < 2:
        return context.call_activity_with_retry(function, RETRIES, given)
    return context.call_activity(function, given)


def pause_after(context: Context, job: Job, tries: int) -> timedelta | None:
    """How long to wait after so many tries of a step that broke; None where it is not to be tried anew:
    it was tried often enough, or the next try would be beyond the job's deadline.
    """
    if job.version < 2:
        return None
    pause = min(SHORTEST_BACK_OFF * 2 ** min(tries - 1, 10), LONGEST_BACK_OFF)
    is_late = context.current_utc_datetime + pause > gives_up_at(job)
    return None if tries >= (job.tries or TRIES) or is_late else pause


def begin(context: Context, job: Job, working: Working) -> Generator[Any, Any, Outcome]:
    """Start the outside work, in one try."""
    show(context, "beginning")
    plain = yield from working(call(context, job, begin_job, to_task_hub(job)))
    outcome: Outcome = read_outcome(plain)
    return outcome


def check(context: Context, job: Job, waiting: Waiting, working: Working) -> Generator[Any, Any, Outcome]:
    """See how far the outside work is, after the outcome ``waiting``, in one try."""
    show(context, "checking", waiting.progress)
    step = to_task_hub(Check(job=job, state=waiting.state))
    plain = yield from working(call(context, job, check_job, step))
    outcome: Outcome = read_outcome(plain)
    return outcome


def compose(
    context: Context, job: Job, view: View | None, number: int
) -> Generator[Any, Any, ComposedOutcome]:
    """Compose the answer, in one try: the ``number``-th thing the job tells, in the stream of ``view``.

    It may be told already; else it is to be told, as the final of the outcome's own ``view``.
    """
    show(context, "composing", number=number)
    composition = to_task_hub(Composition(job=job, number=number, view=view))
    plain = yield call(context, job, compose_answer, composition)
    composed: ComposedOutcome = read_composed(plain)
    return composed


def cancel(
    context: Context, job: Job, waiting: Waiting, working: Working
) -> Generator[Any, Any, Cancelled | Done]:
    """End the job for its user, in one try: Cancelled, or Done where it was too late."""
    show(context, "cancelling", waiting.progress)
    step = to_task_hub(Check(job=job, state=waiting.state))
    plain = yield from working(call(context, job, cancel_job, step))
    ended: Cancelled | Done = read_ended(plain)
    return ended


def note_broken(context: Context, job: Job) -> Generator[Any, Any, None]:
    """Have the board and the ledger say that the job broke; it says that it runs where this breaks too."""
    try:
        yield context.call_activity_with_retry(note_broken_job, RETRIES, to_task_hub(job))
    except Exception:  # noqa: BLE001 - whatever an activity raises arrives as this
        return


def wait(
    context: Context,
    time: timedelta,
    *events: Any,
    progress: Progress | None = None,
    step: str = "waiting",
    **more: Any,
) -> Generator[Any, Any, Any]:
    """Wait for ``time``, or until one of the event tasks ends: that one, or None. ``step``: as it is shown.

    An event only wakes: what it reports must have been written down before, for the check to find it.
    Once it has ended, give a new one: the old one would end each wait at once.
    """
    until = context.current_utc_datetime + time
    show(context, step, progress, until=until.isoformat(), **more)
    while context.current_utc_datetime < until:
        timer = context.create_timer(min(until, context.current_utc_datetime + LONGEST_TIMER))
        ended = yield context.task_any([timer, *events])
        if ended is not timer:
            timer.cancel()
            return ended
    return None


def show_job(
    context: Context,
    job: Job,
    view: View | None,
    progress: Progress | None,
    *,
    is_told: bool = False,
    is_due: bool = False,
) -> Generator[Any, Any, View | None]:
    """Show the user how the job is, where that is news, or ``is_due``; the view as it is then.

    ``is_told``: the user was told something just now, which says more.
    """
    if job.version < 2 or job.shown_as is None:
        return view
    is_news = view is None or progress not in (None, view.progress)
    if not (is_news or is_due) or (view and view.ended):
        return view
    showing = Showing(job=job, view=view, progress=progress, is_told=is_told)
    return (yield from _show_job(context, showing, view))


def show_ended(
    context: Context, job: Job, view: View | None, state: JobState
) -> Generator[Any, Any, View | None]:
    """Have the job's card say how it ended, also where it ended before the card was seen here."""
    if (view.kind if view else job.shown_as) != "card" or (view and view.ended):
        return view
    return (yield from _show_job(context, Showing(job=job, view=view, state=state), view))


def _show_job(context: Context, showing: Showing, view: View | None) -> Generator[Any, Any, View | None]:
    try:
        plain = yield context.call_activity_with_retry(show_job_function, RETRIES, to_task_hub(showing))
    except Exception:  # noqa: BLE001 - whatever an activity raises arrives as this; no job depends on it
        return view
    shown: Showed = read_showed(plain)
    return shown.view


def tell(
    context: Context,
    job: Job,
    number: int,
    answer: Answer,
    progress: Progress | None = None,
    *,
    stream: OpenStream | None = None,
    is_unseen: bool = False,
) -> Generator[Any, Any, FollowUpSent]:
    """Tell the user the ``number``-th thing of this job, as the final of ``stream``; how it ended.

    While the channel is busy, or the telling breaks, this waits in a timer and tries again, for an hour
    or more; it never fails the job, whose work does not depend on it.
    """
    show(context, "telling", progress, number=number)
    follow_up = to_task_hub(
        FollowUp(job=job, number=number, answer=answer, stream=stream, is_unseen=is_unseen)
    )
    for waits in range(MOST_WAITS_TO_TELL if job.version < 2 else 2 * MOST_WAITS_TO_TELL):
        try:
            plain = yield context.call_activity_with_retry(send_follow_up, RETRIES, follow_up)
        except Exception:  # noqa: BLE001 - whatever an activity raises arrives as this
            pause = SETBACK_WAIT
        else:
            sent: FollowUpSent = read_sent(plain)
            if sent.outcome != "busy":
                return sent
            pause = min(max(timedelta(seconds=sent.retry_in), BUSY_WAITS[0]), BUSY_WAITS[1])
        if waits >= MOST_WAITS_TO_TELL:  # they may all have been short: the others take an hour
            pause = max(pause, SETBACK_WAIT)
        yield context.create_timer(context.current_utc_datetime + pause)
    try:
        plain = yield context.call_activity_with_retry(give_up_follow_up, RETRIES, follow_up)
    except Exception:  # noqa: BLE001 - as above
        return FollowUpSent(outcome="failed")
    given_up: FollowUpSent = read_sent(plain)
    return given_up
