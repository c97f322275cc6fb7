"""The way of a job from its begin to its end, for the orchestrators that follow one."""

from collections.abc import Callable, Generator
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import msgspec

from agent.answer import Answer
from agent.job_entry import JobState
from agent.jobs.catalog import gives_up_at, job_of, title_of
from agent.jobs.definition import Cancelled, Composing, Done, Failed, Job, Outcome, Waiting
from agent.jobs.running import broken
from agent.task_hub import to_task_hub
from agent.view import View
from orchestrators import steps
from orchestrators.screen import SHORTEST_WAIT, Screen

# After so many checks the orchestration starts over with what it knows, so that its history stays short.
CHECKS_AN_EXECUTION = 50
# What a job waits for whose begin has not succeeded yet; it may have begun something all the same.
NOT_BEGUN = Waiting(state={}, check_in=timedelta(0))


class Following(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the follow-up of a job is; the orchestration's input. ``told``: how many things it told;
    ``is_approved``: nobody is to be asked any more whether it may begin."""

    job: Job
    outcome: Outcome | None = None
    told: int = 0
    view: View | None = None
    is_approved: bool = False


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a step of a job: its ``result``, which may be told already; or the ``error`` of its last
    try; or none of both, where it was given up for the event that ``woken_by`` is, or as the user left."""

    result: Any = None
    is_told: bool = False
    error: Exception | None = None
    woken_by: Any = None


def follow(
    context: steps.Context, following: Following, *, cancelled: Any = None
) -> Generator[Any, Any, dict[str, Any] | None]:
    """Follow one job to its end: ``{"outcome", "told"}``; None where the orchestration starts over.

    ``cancelled``: the event that ends it, where that was waited for before. A job that breaks is told so to
    its user, and what broke it is raised.
    """
    job, outcome, told = following.job, following.outcome, following.told
    screen = Screen(context, job, following.view)
    completed = context.wait_for_external_event(steps.COMPLETED)
    cancelled = cancelled or context.wait_for_external_event(steps.CANCEL)
    for _ in range(CHECKS_AN_EXECUTION):
        tried = yield from _next(context, job, outcome, told, screen, cancelled)
        woken_by, starts_over = tried.woken_by, False
        if tried.error:
            yield from _break(context, job, told + 1, screen)
            raise tried.error
        if tried.result:
            outcome = tried.result
            if outcome.tell is not None:
                told += 1
                if not tried.is_told:
                    yield from screen.tell(told, outcome.tell, getattr(outcome, "progress", None))
            if not isinstance(outcome, Waiting | Composing):
                yield from _end(context, outcome, screen)
                return _output(outcome, told)
            if isinstance(outcome, Composing):
                yield from screen.open()
            else:
                woken_by, starts_over = yield from _wait(context, job, outcome, screen, cancelled, completed)
        if woken_by is completed:
            completed = context.wait_for_external_event(steps.COMPLETED)
        elif woken_by is cancelled or screen.is_left:
            told += 1
            waiting = outcome if isinstance(outcome, Waiting) else NOT_BEGUN
            ended = yield from _cancel(context, job, waiting, told, screen)
            if ended is not None:
                return _output(ended, told)
            starts_over = True
        if starts_over:
            break  # an event that came early ends each later wait, until the orchestration starts over
    following = msgspec.structs.replace(following, outcome=outcome, told=told, view=screen.view)
    context.continue_as_new(to_task_hub(following))
    return None


def _wait(
    context: steps.Context, job: Job, waiting: Waiting, screen: Screen, cancelled: Any, completed: Any
) -> Generator[Any, Any, tuple[Any, bool]]:
    """Show how the job is, and wait for its next check: for what ended the wait, as ``screen.wait`` says it,
    and whether the orchestration is to start over, for an event that came early.

    That event would be handed on to the next execution, did this one end in the same moment. Jobs of
    version 1 are in flight: they do as they did.
    """
    yield from screen.show(waiting)
    waits_from = context.current_utc_datetime
    until_then = min(waiting.check_in, gives_up_at(job) - waits_from)
    woken_by = yield from screen.wait(waits_from + max(until_then, SHORTEST_WAIT), cancelled, completed)
    is_early = woken_by is completed and context.current_utc_datetime - waits_from < SHORTEST_WAIT
    if not is_early or job.version < 2:
        return woken_by, False
    woken_by = yield from screen.wait(context.current_utc_datetime + SHORTEST_WAIT, cancelled)
    return woken_by, True


def _next(
    context: steps.Context, job: Job, outcome: Outcome | None, told: int, screen: Screen, cancelled: Any
) -> Generator[Any, Any, Tried]:
    """The job is begun, checked on, or its answer composed; a cancel is heeded while that backs off."""
    if outcome is None:
        begin = partial(steps.begin, context, job, screen.working)
        return (yield from _tried(context, job, begin, "beginning", screen, cancelled))
    if isinstance(outcome, Composing):

        def compose() -> Generator[Any, Any, Any]:
            return steps.compose(context, job, screen.view, told + 1)

        tried = yield from _tried(context, job, compose, "composing", screen, cancelled)
        if tried.result is None:
            return tried
        screen.view = tried.result.view
        return Tried(result=tried.result.outcome, is_told=tried.result.is_told)
    assert isinstance(outcome, Waiting), "what has ended is not followed"
    check = partial(steps.check, context, job, outcome, screen.working)
    return (yield from _tried(context, job, check, "checking", screen, cancelled))


def _tried(
    context: steps.Context,
    job: Job,
    step: Callable[[], Generator[Any, Any, Any]],
    name: str,
    screen: Screen,
    *events: Any,
) -> Generator[Any, Any, Tried]:
    """Try a step as often as ``steps.pause_after`` says, or until one of the events while it backs off."""
    for tries in count(1):
        try:
            result = yield from step()
        except Exception as error:  # noqa: BLE001 - whatever an activity raises arrives as this
            pause, broke = steps.pause_after(context, job, tries), error
        else:
            return Tried(result=result)
        if pause is None:
            return Tried(error=broke)
        until = context.current_utc_datetime + pause
        woken_by = yield from screen.wait(until, *events, step=name, tries=tries)
        if events and (woken_by or screen.is_left):
            return Tried(woken_by=woken_by)
    raise AssertionError("the numbers have an end")


def _break(context: steps.Context, job: Job, number: int, screen: Screen) -> Generator[Any, Any, None]:
    """Tell the user that the job broke, and have the board and the ledger say so.

    They say it first, for telling may take long. Jobs of version 1 are in flight: they do as they did.
    """
    if job.version < 2:
        yield from screen.tell(number, job_of(job).failure(job))
        yield from steps.note_broken(context, job)
    else:
        yield from steps.note_broken(context, job)
        yield from screen.tell(number, broken(job).tell)
    yield from screen.end("failed")
    steps.show(context, "failed")


def _cancel(
    context: steps.Context, job: Job, waiting: Waiting, number: int, screen: Screen
) -> Generator[Any, Any, Cancelled | Done | None]:
    """End the job for its user, and tell them; None where it could not be ended, and goes on."""
    cancel = partial(steps.cancel, context, job, waiting, screen.working)
    tried = yield from _tried(context, job, cancel, "cancelling", screen)
    ended: Cancelled | Done | None = tried.result
    title = title_of(job)
    sorry = Answer(f"I am sorry, I could not cancel: {title}. It goes on; please try to cancel it again.")
    yield from screen.tell(number, ended.tell if ended else sorry, waiting.progress)
    if ended is not None:
        yield from _end(context, ended, screen)
    screen.goes_on()
    return ended


def _end(context: steps.Context, outcome: Outcome | Cancelled, screen: Screen) -> Generator[Any, Any, None]:
    states: dict[type, JobState] = {Done: "done", Failed: "failed", Cancelled: "cancelled"}
    yield from screen.end(states[type(outcome)])
    steps.show(context, "cancelled" if isinstance(outcome, Cancelled) else "ended")


def _output(outcome: Outcome | Cancelled, told: int) -> dict[str, Any]:
    return {"outcome": type(outcome).__name__.lower(), "told": told}
