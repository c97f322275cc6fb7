"""What the user sees of one job over time: kept alive while it works and waits, ended by what it tells."""

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any

import msgspec

from agent.answer import Answer
from agent.job_entry import JobState, Progress
from agent.jobs.definition import Job, Waiting
from agent.view import View
from orchestrators import steps

SHORTEST_WAIT = timedelta(seconds=1)
# When a stream that the turn has opened is first seen to, if nothing happens before.
SEEN_TO_AFTER = timedelta(seconds=25)


class Screen:
    """The view of a job in one execution of its orchestration. ``view`` is handed on to the next one."""

    def __init__(self, context: steps.Context, job: Job, view: View | None) -> None:
        self.view = view
        self._context = context
        self._job = job
        self._progress: Progress | None = None

    @property
    def is_left(self) -> bool:
        """Whether the user stopped the stream, and the job with it."""
        return bool(self.view and self.view.cancels_job)

    def show(self, waiting: Waiting) -> Generator[Any, Any, None]:
        """Show how the job is, where that is news."""
        self._progress = waiting.progress
        is_told = waiting.tell is not None
        self.view = yield from steps.show_job(
            self._context, self._job, self.view, waiting.progress, is_told=is_told
        )

    def open(self) -> Generator[Any, Any, View | None]:
        """The view that the turn has opened."""
        if self.view is None:
            self.view = yield from steps.show_job(self._context, self._job, None, None)
        return self.view

    def tell(
        self, number: int, answer: Answer, progress: Progress | None = None
    ) -> Generator[Any, Any, None]:
        """Tell the user something: in the stream that is open, which it ends, or in a message of its own."""
        stream = self.view.open_stream if self.view else None
        yield from steps.tell(
            self._context, self._job, number, answer, progress, stream=stream, is_unseen=self.view is None
        )
        if self.view and stream:
            self.view = msgspec.structs.replace(self.view, ended="completed")

    def working(self, task: Any) -> Generator[Any, Any, Any]:
        """What the activity function of ``task`` returns; raises what it raises."""
        while (moves_on_at := self._moves_on_at()) is not None:
            pause = max(moves_on_at - self._context.current_utc_datetime, SHORTEST_WAIT)
            timer = self._context.create_timer(self._context.current_utc_datetime + pause)
            ended = yield self._context.task_any([task, timer])
            if ended is task:
                timer.cancel()
                break
            yield from self._move_on()
        return (yield task)

    def wait(self, until: datetime, *events: Any, **shown: Any) -> Generator[Any, Any, Any]:
        """Wait until then, or for one of the events: that one; None, also where the user left.

        A wait for no event is that of the job's cancelling, which who has left waits for. ``shown``: for
        ``steps.wait``.
        """
        if events and self.is_left:
            return None
        while (moves_on_at := self._moves_on_at()) is not None and moves_on_at < until:
            pause = max(moves_on_at - self._context.current_utc_datetime, SHORTEST_WAIT)
            woken_by = yield from steps.wait(self._context, pause, *events, progress=self._progress, **shown)
            if woken_by:
                return woken_by
            yield from self._move_on()
            if events and self.is_left:
                return None
        pause = max(until - self._context.current_utc_datetime, SHORTEST_WAIT)
        return (yield from steps.wait(self._context, pause, *events, progress=self._progress, **shown))

    def goes_on(self) -> None:
        """The job could not be ended: it goes on, and may be left once more."""
        if self.view:
            self.view = msgspec.structs.replace(self.view, cancels_job=False)

    def end(self, state: JobState) -> Generator[Any, Any, None]:
        """Show that the job has ended."""
        self.view = yield from steps.show_ended(self._context, self._job, self.view, state)

    def _moves_on_at(self) -> datetime | None:
        """When a stream needs its next update; None where there is none, or it has ended."""
        if self.view is None:  # the turn has opened it
            return self._job.requested_at + SEEN_TO_AFTER if self._job.shown_as == "stream" else None
        return None if self.view.ended else self.view.moves_on_at

    def _move_on(self) -> Generator[Any, Any, None]:
        self.view = yield from steps.show_job(
            self._context, self._job, self.view, self._progress, is_due=True
        )
