"""The way of a job from its begin to its end, for the orchestrators that follow one."""

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from agent.answer import Answer
from agent.job_entry import JobState
from agent.jobs.catalog import job_of
from agent.jobs.definition import Cancelled, Done, Failed, Job, Outcome, Waiting
from agent.task_hub import to_task_hub
from agent.view import View
from orchestrators import steps

SHORTEST_WAIT = timedelta(seconds=1)
# After so many checks the orchestration starts over with what it knows, so that its history stays short.
CHECKS_AN_EXECUTION = 50
# A stream's update that comes so short before a check is left to it.
NEAR = timedelta(seconds=2)


class Following(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the follow-up of a job is; the orchestration's input. ``told``: how many things it told."""

    job: Job
    outcome: Outcome | None = None
    told: int = 0
    view: View | None = None


def follow(context: steps.Context, following: Following) -> Generator[Any, Any, dict[str, Any] | None]:
    """Follow one job to its end: ``{"outcome", "told"}``; None where the orchestration starts over.

    A job that breaks is told so to its user, and what broke it is raised.
    """
    job, outcome, told, view = following.job, following.outcome, following.told, following.view
    gives_up_at = job.requested_at + job_of(job).deadline
    completed = context.wait_for_external_event(steps.COMPLETED)
    cancelled = context.wait_for_external_event(steps.CANCEL)
    for _ in range(CHECKS_AN_EXECUTION):
        try:
            if outcome is None:
                outcome = yield from steps.begin(context, job)
            else:
                assert isinstance(outcome, Waiting), "what has ended is not followed"
                outcome = yield from steps.check(context, job, outcome)
        except Exception:
            # Whatever an activity raises arrives as this, once its retries are used up.
            yield from _break(context, job, told + 1, view)
            raise
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
            ended = yield from _cancel(context, job, outcome, told, view)
            if ended is not None:
                return _output(ended, told)
            view = _without_cancelling(view)
            break  # an event that came early ends each later wait, until the orchestration starts over
    context.continue_as_new(to_task_hub(Following(job=job, outcome=outcome, told=told, view=view)))
    return None


def _wait(
    context: steps.Context, job: Job, waiting: Waiting, view: View | None, until: datetime, *events: Any
) -> Generator[Any, Any, tuple[Any, View | None]]:
    """Wait until then, or for one of the events; meanwhile the job's stream is kept alive."""
    while view and view.is_streaming and view.moves_on_at < until - NEAR:
        pause = max(view.moves_on_at - context.current_utc_datetime, SHORTEST_WAIT)
        woken_by = yield from steps.wait(context, pause, *events, progress=waiting.progress)
        if woken_by:
            return woken_by, view
        view = yield from steps.show_job(context, job, view, waiting, is_due=True)
        if view and view.cancels_job:
            return None, view
    pause = max(until - context.current_utc_datetime, SHORTEST_WAIT)
    woken_by = yield from steps.wait(context, pause, *events, progress=waiting.progress)
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
    """Tell the user that the job broke, and have the board say so."""
    view = yield from _tell(context, job, number, job_of(job).failure(job), view)
    yield from steps.note_broken(context, job)
    yield from steps.show_ended(context, job, view, "failed")
    steps.show(context, "failed")


def _cancel(
    context: steps.Context, job: Job, waiting: Waiting, number: int, view: View | None
) -> Generator[Any, Any, Cancelled | Done | None]:
    """End the job for its user, and tell them; None where it could not be ended, and goes on."""
    ended = yield from steps.cancel(context, job, waiting)
    title = job_of(job).title
    sorry = Answer(f"I am sorry, I could not cancel: {title}. It goes on; please try to cancel it again.")
    view = yield from _tell(context, job, number, ended.tell if ended else sorry, view, waiting)
    if ended is not None:
        yield from _end(context, job, ended, view)
    return ended


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
