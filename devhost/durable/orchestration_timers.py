"""Fires the timers of orchestrations at their moments."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from devhost.durable.history import EventType, event, parse_utc
from devhost.durable.timer_store import TimerStore

logger = logging.getLogger("devhost")
_RETRY_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 60.0  # so that a changed clock is noticed
_AT_ONCE = 500  # timers that become messages in one transaction; others have their turn in between


class OrchestrationTimers:
    """Waits for the next timer of the hub; `wake` gets the id of each instance whose timer fired."""

    def __init__(self, hub: TimerStore, clock: Callable[[], datetime], wake: Callable[[str], None]) -> None:
        self._hub, self._clock, self._wake = hub, clock, wake
        self._next: datetime | None = None
        self._changed = asyncio.Event()

    def note(self, fire_at: datetime) -> None:
        """Say that the hub has a timer of this moment."""
        if self._next is None or fire_at < self._next:
            self._next = fire_at
            self._changed.set()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            try:
                self._changed.clear()
                self.fire_due()
                wait = self._seconds_to_next()
            except Exception:  # the host's own loop: timers must go on
                logger.exception("Timers could not be fired; trying again")
                wait = _RETRY_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def fire_due(self) -> None:
        """Turn timers that are due into messages and wake their instances."""
        now = self._clock()
        due = self._hub.due_timers(now, limit=_AT_ONCE)
        if not due:
            return
        self._hub.fire_timers(
            (row, event(EventType.TIMER_FIRED, now, TimerId=row[2], FireAt=row[3])) for row in due
        )
        for instance_id, *_ in due:
            self._wake(instance_id)

    def _seconds_to_next(self) -> float:
        fire_at = self._hub.next_timer()
        self._next = parse_utc(fire_at) if fire_at else None
        if self._next is None:
            return _LONGEST_SLEEP_SECONDS
        seconds = (self._next - self._clock()).total_seconds()
        return min(max(seconds, 0.001), _LONGEST_SLEEP_SECONDS)
