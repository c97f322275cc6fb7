"""The way of a job from its begin to its end, for the orchestrators that follow one."""

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import msgspec

from agent.answer import Answer
from agent.job_entry import JobState
from agent.jobs.catalog import job_of
from agent.jobs.definition import Cancelled, Done, Failed, Job, Outcome, Waiting
from agent.jobs.running import broken
from agent.task_hub import to_task_hub
from agent.view import View
from orchestrators import steps

SHORTEST_WAIT = timedelta(seconds=1)
# After so many checks the orchestration starts over with what it knows, so that its history stays short.
CHECKS_AN_EXECUTION = 50
# What a job waits for whose begin has not succeeded yet; it may have begun something all the same.
NOT_BEGUN = Waiting(state={}, check_in=timedelta(0))
# A stream's update that comes so short before a check is left to it.
NEAR = timedelta(seconds=2)


class Following(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the follow-up of a job is; the orchestration's input. ``told``: how many things it told."""

    job: Job
    outcome: Outcome | None = None
    told: int = 0
    view: View | None = None


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a step of a job: its ``result``; or the ``error`` of its last try; or none of both, where
    it was given up for the event that ``woken_by`` is, or for what the ``view`` says."""

    view: View | None
    result: Any = None
    error: Exception | None = None
    woken_by: Any = None


def follow(
    context: steps.Context, following: Following, *, cancelled: Any = None
) -> Generator[Any, Any, dict[str, Any] | None]:
    """Follow one job to its end: ``{"outcome", "told"}``; None where the orchestration starts over.

    ``cancelled``: the event that ends it, where that was waited for before. A job that breaks is told so to
    its user, and what broke it is raised.
    """
    job, outcome, told, view = following.job, following.outcome, following.told, following.view
    gives_up_at = job.requested_at + job_of(job).deadline
    completed = context.wait_for_external_event(steps.COMPLETED)
    cancelled = cancelled or context.wait_for_external_event(steps.CANCEL)
    for _ in range(CHECKS_AN_EXECUTION):
        tried = yield from _next(context, job, outcome, view, cancelled)
        view, woken_by = tried.view, tried.woken_by
        if tried.error:
            yield from _break(context, job, told + 1, view)
            raise tried.error
        if tried.result:
            outcome = tried.result
            if outcome.tell is not None:
                told += 1
                view = yield from _tell(context, job, told, outcome.tell, view, outcome)
            if not isinstance(outcome, Waiting):
                yield from _end(context, job, outcome, view)
                return _output(outcome, told)
            view = yield from steps.show_job(context, job, view, outcome)
            until_then = min(outcome.check_in, gives_up_at - context.current_utc_datetime)
            until = context.current_utc_datetime + max(until_then, SHORTEST_WAIT)
            woken_by, view = yield from _wait(context, job, outcome, view, until, cancelled, completed)
        if woken_by is completed:
            completed = context.wait_for_external_event(steps.COMPLETED)
        elif woken_by is cancelled or (view and view.cancels_job):
            told += 1
            waiting = outcome if isinstance(outcome, Waiting) else NOT_BEGUN
            ended, view = yield from _cancel(context, job, waiting, told, view)
            if ended is not None:
                return _output(ended, told)
            break  # an event that came early ends each later wait, until the orchestration starts over
    context.continue_as_new(to_task_hub(Following(job=job, outcome=outcome, told=told, view=view)))
    return None


def _next(
    context: steps.Context, job: Job, outcome: Outcome | None, view: View | None, cancelled: Any
) -> Generator[Any, Any, Tried]:
    """The job is begun, or checked on; a cancel is heeded while that backs off."""
    if outcome is None:
        begin = partial(steps.begin, context, job)
        return (yield from _tried(context, job, begin, "beginning", NOT_BEGUN, view, cancelled))
    assert isinstance(outcome, Waiting), "what has ended is not followed"
    check = partial(steps.check, context, job, outcome)
    return (yield from _tried(context, job, check, "checking", outcome, view, cancelled))


def _tried(
    context: steps.Context,
    job: Job,
    step: Callable[[], Generator[Any, Any, Any]],
    name: str,
    waiting: Waiting,
    view: View | None,
    *events: Any,
) -> Generator[Any, Any, Tried]:
    """Try a step as often as ``steps.pause_after`` says, or until one of the events while it backs off."""
    for tries in count(1):
        try:
            result = yield from step()
        except Exception as error:  # noqa: BLE001 - whatever an activity raises arrives as this
            pause, broke = steps.pause_after(context, job, tries), error
        else:
            return Tried(view=view, result=result)
        if pause is None:
            return Tried(view=view, error=broke)
        if view is None:  # what the turn has opened is kept alive
            view = yield from steps.show_job(context, job, view, waiting)
        until = context.current_utc_datetime + pause
        woken_by, view = yield from _wait(context, job, waiting, view, until, *events, step=name, tries=tries)
        if events and (woken_by or (view and view.cancels_job)):
            return Tried(view=view, woken_by=woken_by)
    raise AssertionError("the numbers have an end")


def _wait(
    context: steps.Context,
    job: Job,
    waiting: Waiting,
    view: View | None,
    until: datetime,
    *events: Any,
    **shown: Any,
) -> Generator[Any, Any, tuple[Any, View | None]]:
    """Wait until then, or for one of the events, ``shown`` as that; the job's stream is kept alive."""
    while view and view.is_streaming and view.moves_on_at < until - NEAR:
        pause = max(view.moves_on_at - context.current_utc_datetime, SHORTEST_WAIT)
        woken_by = yield from steps.wait(context, pause, *events, progress=waiting.progress, **shown)
        if woken_by:
            return woken_by, view
        view = yield from steps.show_job(context, job, view, waiting, is_due=True)
        if view and view.cancels_job:
            return None, view
    pause = max(until - context.current_utc_datetime, SHORTEST_WAIT)
    woken_by = yield from steps.wait(context, pause, *events, progress=waiting.progress, **shown)
    return woken_by, view


def _tell(
    context: steps.Context,
    job: Job,
    number: int,
    answer: Answer,
    view: View | None,
    outcome: Outcome | Cancelled | None = None,
) -> Generator[Any, Any, View | None]:
    """Tell the user something: in the stream that is open, which it ends, or in a message of its own."""
    stream = view.open_stream if view else None
    progress = outcome.progress if isinstance(outcome, Waiting) else None
    yield from steps.tell(context, job, number, answer, progress, stream=stream)
    return msgspec.structs.replace(view, ended="completed") if view and stream else view


def _break(context: steps.Context, job: Job, number: int, view: View | None) -> Generator[Any, Any, None]:
    """Tell the user that the job broke, and have the board and the ledger say so.

    They say it first, for telling may take long. Jobs of version 1 are in flight: they do as they did.
    """
    if job.version < 2:
        view = yield from _tell(context, job, number, job_of(job).failure(job), view)
        yield from steps.note_broken(context, job)
    else:
        yield from steps.note_broken(context, job)
        view = yield from _tell(context, job, number, broken(job).tell, view)
    yield from steps.show_ended(context, job, view, "failed")
    steps.show(context, "failed")


def _cancel(
    context: steps.Context, job: Job, waiting: Waiting, number: int, view: View | None
) -> Generator[Any, Any, tuple[Cancelled | Done | None, View | None]]:
    """End the job for its user, and tell them; None where it could not be ended, and goes on."""
    cancel = partial(steps.cancel, context, job, waiting)
    tried = yield from _tried(context, job, cancel, "cancelling", waiting, view)
    ended: Cancelled | Done | None = tried.result
    title = job_of(job).title
    sorry = Answer(f"I am sorry, I could not cancel: {title}. It goes on; please try to cancel it again.")
    view = yield from _tell(context, job, number, ended.tell if ended else sorry, tried.view, waiting)
    if ended is not None:
        yield from _end(context, job, ended, view)
    return ended, _without_cancelling(view)


def _end(
    context: steps.Context, job: Job, outcome: Outcome | Cancelled, view: View | None
) -> Generator[Any, Any, None]:
    states: dict[type, JobState] = {Done: "done", Failed: "failed", Cancelled: "cancelled"}
    yield from steps.show_ended(context, job, view, states[type(outcome)])
    steps.show(context, "cancelled" if isinstance(outcome, Cancelled) else "ended")


def _without_cancelling(view: View | None) -> View | None:
    return msgspec.structs.replace(view, cancels_job=False) if view else None


def _output(outcome: Outcome | Cancelled, told: int) -> dict[str, Any]:
    return {"outcome": type(outcome).__name__.lower(), "told": told}
