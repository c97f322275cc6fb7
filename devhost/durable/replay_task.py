"""What a replay waits for: an activity, a timer, an event, or several of them together."""

from collections.abc import Callable


class ReplayTask:
    """Something invoked; runs its callbacks once, when it ends."""

    __slots__ = ("_callbacks", "failed", "is_done", "result")

    def __init__(self) -> None:
        self.is_done = False
        self.failed = False
        self.result: str | None = None  # JSON text of an activity's result
        self._callbacks: list[Callable[[], None]] = []

    def then(self, callback: Callable[[], None]) -> None:
        if self.is_done:
            callback()
        else:
            self._callbacks.append(callback)

    def end(self, *, failed: bool = False, result: str | None = None) -> None:
        if self.is_done:
            return
        self.is_done, self.failed, self.result = True, failed, result
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


def done() -> ReplayTask:
    """One that has ended already."""
    task = ReplayTask()
    task.end()
    return task
