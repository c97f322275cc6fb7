"""The time limit of invocations: host.json's functionTimeout, the same for all."""

import asyncio


class Limited:
    """One run under the limit. `expired`: it was cancelled because its time was up."""

    __slots__ = ("deadline", "expired", "task")

    def __init__(self, task: asyncio.Task[object], deadline: float) -> None:
        self.task, self.deadline, self.expired = task, deadline, False


class TimeLimit:
    """Cancels what runs longer than `seconds`; None is no limit.

    The limit is one and the same, so runs expire in the order in which they began: one timer, for the oldest,
    is enough, where `asyncio.timeout` sets and cancels one for each run.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._runs: dict[Limited, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Limited | None:
        """Limit the current task from now on; give what comes back to `end`."""
        task = asyncio.current_task()
        if self.seconds is None or task is None:
            return None
        loop = task.get_loop()
        run = Limited(task, loop.time() + self.seconds)
        self._runs[run] = None
        if self._timer is None:
            self._timer = loop.call_at(run.deadline, self._expire, loop)
        return run

    def end(self, run: Limited | None) -> None:
        """The run is over. If it was cancelled for its time, the task is no longer being cancelled."""
        if run is not None:
            self._runs.pop(run, None)
            if run.expired:
                run.task.uncancel()

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time()
        for run in list(self._runs):
            if run.deadline > now:
                self._timer = loop.call_at(run.deadline, self._expire, loop)
                return
            del self._runs[run]
            run.expired = True
            run.task.cancel()
