"""A timer trigger: waits for the schedule's next moment and runs its function, one run at a time."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.functions.meta import Datum

from devhost.durable.history import parse_utc, utc_text
from devhost.durable.task_hub import TaskHub
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import Invoker
from devhost.timer.schedule import is_frequent, parse_schedule

logger = logging.getLogger("devhost")
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_RETRY_SECONDS = 5.0
_EARLY = timedelta(seconds=1)
_LONGEST_SLEEP = timedelta(minutes=1)  # so that a changed clock is noticed


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """When a timer ran last and runs next; `next_run` is None for a schedule that is over."""

    last: datetime
    next_run: datetime | None
    updated: datetime

    def to_json(self) -> str:
        """JSON object with PascalCase members, as the monitor stores it."""
        following = utc_text(self.next_run or _NEVER)
        return json.dumps(
            {"Last": utc_text(self.last), "Next": following, "LastUpdated": utc_text(self.updated)}
        )

    @classmethod
    def from_json(cls, text: str) -> "ScheduleStatus":
        """Read what `to_json` wrote."""
        values = json.loads(text)
        following = parse_utc(values["Next"])
        next_run = None if following == _NEVER else following
        return cls(parse_utc(values["Last"]), next_run, parse_utc(values["LastUpdated"]))


def timer_datum(status: ScheduleStatus | None, *, is_past_due: bool) -> Datum:
    """Trigger value of a timer function; `status` is None when the schedule is not monitored."""
    value = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": json.loads(status.to_json()) if status else None,
        "IsPastDue": is_past_due,
    }
    return Datum(json.dumps(value), "json")


class TimerListener:
    """One timer function. All schedules are read in UTC."""

    def __init__(
        self, function: FunctionDefinition, invoker: Invoker, hub: TaskHub, clock: Callable[[], datetime]
    ) -> None:
        self._function, self._invoker, self._hub, self._clock = function, invoker, hub, clock
        properties = function.trigger.properties
        self._schedule = parse_schedule(str(properties["schedule"]))
        self._runs_on_startup = bool(properties.get("runOnStartup"))
        self._is_monitored = properties.get("useMonitor") is not False and not is_frequent(
            self._schedule, clock()
        )
        self._next: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._run_ended = asyncio.Event()
        self._run_ended.set()

    def start(self) -> None:
        """Begin to keep the schedule."""
        self._task = asyncio.get_running_loop().create_task(self._keep_on())

    async def stop(self, grace_seconds: float) -> None:
        """Start no more runs; wait a while for the one under way."""
        self._is_stopping = True
        if self._task is None:
            return
        try:
            async with asyncio.timeout(grace_seconds):
                await self._run_ended.wait()
        except TimeoutError:
            logger.warning("The timer function '%s' is still running; it is cut off.", self._function.name)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_on(self) -> None:
        while True:
            try:
                await self._keep()
            except Exception:  # the host's own loop: no error stops a schedule
                logger.exception(
                    "The timer of '%s' failed in the host and is taken up again", self._function.name
                )
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _keep(self) -> None:
        if self._schedule.next_after(self._clock()) is None:
            logger.warning("The schedule of '%s' names no moment to come.", self._function.name)
        if self.take_up():
            await self.run(is_past_due=True)
        elif self._runs_on_startup:
            await self.run(is_past_due=False)
        while self._next is not None and not self._is_stopping:
            wait = self._next - self._clock()
            if wait > timedelta(0):
                await asyncio.sleep(min(wait, _LONGEST_SLEEP).total_seconds())
                continue
            await self.run(is_past_due=False)

    def take_up(self) -> bool:
        """Read the stored status, or write a first one. True when a run was missed meanwhile."""
        now = self._clock()
        stored = self._hub.timer_trigger_status(self._function.name) if self._is_monitored else None
        if stored is None:
            self._next = self._schedule.next_after(now)
            if self._is_monitored:
                self._store(ScheduleStatus(_NEVER, self._next, now))
            return False
        status = ScheduleStatus.from_json(stored)
        expected = self._schedule.next_after(status.updated)
        if status.next_run != expected:
            # The schedule was changed while the host was away; what it would have missed is not caught up.
            self._next = self._schedule.next_after(now)
            self._store(ScheduleStatus(_NEVER, self._next, now))
            return False
        self._next = status.next_run
        return self._next is not None and now > self._next

    async def run(self, *, is_past_due: bool) -> None:
        """Run the function once and move the schedule on, also when it fails."""
        stored = self._hub.timer_trigger_status(self._function.name) if self._is_monitored else None
        status = ScheduleStatus.from_json(stored) if stored else None
        begun = self._clock()
        self._run_ended.clear()
        try:
            await self._invoker.invoke(self._function, timer_datum(status, is_past_due=is_past_due))
        finally:
            self._run_ended.set()
        last = begun
        if self._next is not None and self._next - _EARLY <= begun:
            last = max(begun, self._next)  # a run a little early counts as the one that was due
        self._next = self._schedule.next_after(last)
        if self._is_monitored:
            self._store(ScheduleStatus(last, self._next, last))

    def _store(self, status: ScheduleStatus) -> None:
        self._hub.store_timer_trigger_status(self._function.name, status.to_json())
