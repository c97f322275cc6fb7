"""Work known by its id: first come, first served, so many at once, and again later when it fails."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

logger = logging.getLogger("devhost")
RETRY_SECONDS = 5.0  # doubled for each further failure of the same work, up to the longest
LONGEST_RETRY_SECONDS = 300.0

Id = TypeVar("Id", int, str)


class TryLater(Exception):
    """The work could not be done now; the text says why."""


class WorkQueue(Generic[Id]):
    """Holds nothing but ids, so that work that waits costs next to nothing.

    `run` does one piece of work. What is put again while it runs is run once more, behind all others. When
    `run` raises, the failure is logged and the work put again later and later.
    """

    def __init__(self, what: str, most: int, run: Callable[[Id], Awaitable[None]]) -> None:
        """`what` names a piece of work in the log, such as `step of orchestration`."""
        self._what, self._most = what, most
        self._run: Callable[[Id], Awaitable[None]] = run
        self._ready: deque[Id] = deque()
        self._queued: set[Id] = set()  # in _ready
        self._running: set[Id] = set()
        self._again: set[Id] = set()  # put while running
        self._failures: dict[Id, int] = {}  # in a row
        self._retries: dict[Id, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def put(self, work: Id) -> None:
        """Have it done soon."""
        if work in self._running:
            self._again.add(work)
        elif work not in self._queued:
            self._queued.add(work)
            self._ready.append(work)
            self._fill()

    def _fill(self) -> None:
        while self._ready and len(self._running) < self._most and not self._is_stopping:
            work = self._ready.popleft()
            self._queued.discard(work)
            self._running.add(work)
            retry = self._retries.pop(work, None)
            if retry is not None:
                retry.cancel()  # it was put before its time; no work has two retries under way
            task = asyncio.get_running_loop().create_task(self._do(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _do(self, work: Id) -> None:
        has_failed = True
        try:
            await self._run(work)
            has_failed = False
        except TryLater as reason:
            logger.error("The %s %s is abandoned and tried again: %s", self._what, work, reason)
        except Exception:  # the host's own loop: one piece's trouble must not stop the others
            logger.exception("The %s %s failed in the host and is tried again", self._what, work)
        finally:
            self._running.discard(work)
        is_wanted_again = work in self._again
        self._again.discard(work)
        if has_failed:
            self._retry_later(work)
        else:
            self._failures.pop(work, None)
            if is_wanted_again:
                self.put(work)
        self._fill()

    def _retry_later(self, work: Id) -> None:
        """What timed out may still hold its thread: ever longer waits keep the pool from filling."""
        failures = self._failures[work] = self._failures.get(work, 0) + 1
        delay = min(RETRY_SECONDS * 2 ** min(failures - 1, 20), LONGEST_RETRY_SECONDS)
        self._retries[work] = asyncio.get_running_loop().call_later(delay, self.put, work)

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more; wait for what runs, then cancel it."""
        self._is_stopping = True
        for retry in self._retries.values():
            retry.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
