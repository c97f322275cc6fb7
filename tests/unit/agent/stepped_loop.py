"""An event loop whose time moves only when everybody waits, so that hours pass in no time."""

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

Told = TypeVar("Told")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class _SteppingSelector(selectors.BaseSelector):
    """Where the real one would wait, the loop's time is moved on."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and for nothing"
            self.now += timeout
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class SteppedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._stepping = _SteppingSelector()
        super().__init__(self._stepping)

    def time(self) -> float:
        return self._stepping.now

    def hold_up(self, seconds: float) -> None:
        """Let time go by in which the loop does not turn, as a processor at work does."""
        self._stepping.now += seconds


class LoopClock:
    """The Clock port on the time of the running loop."""

    def __init__(self) -> None:
        self.set_forward = timedelta(0)

    def now(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time()) + self.set_forward

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(work: Coroutine[Any, Any, Told]) -> Told:
    """Run it on a stepped loop of its own."""
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(work)
