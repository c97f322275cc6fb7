"""A timer trigger: waits for the schedule's next moment and runs its function, one run at a time."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, tzinfo

from azure.functions.meta import Datum

from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import Invoker
from devhost.timer.schedule import Schedule, coming, is_frequent, parse_schedule
from devhost.timer.schedule_status import ScheduleStatus, StatusStore, taken_up

logger = logging.getLogger("devhost")
_RETRY_SECONDS = 5.0
_LONGEST_SLEEP = timedelta(minutes=1)  # so that a changed clock is noticed


def timer_datum(status: ScheduleStatus | None, *, is_past_due: bool, zone: tzinfo = UTC) -> Datum:
    """Trigger value of a timer function; `status` is None when the schedule is not monitored."""
    value = {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": json.loads(status.to_json(zone)) if status else None,
        "IsPastDue": is_past_due,
    }
    return Datum(json.dumps(value), "json")


class TimerListener:
    """One timer function, whose schedule is read on the clock of a zone.

    Runs never overlap: the next wait begins when a run, with its retries, has ended.
    """

    def __init__(
        self,
        function: FunctionDefinition,
        invoker: Invoker,
        store: StatusStore,
        clock: Callable[[], datetime],
        zone: tzinfo = UTC,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._function, self._invoker, self._store, self._clock = function, invoker, store, clock
        self._zone, self._sleep = zone, sleep
        properties = function.trigger.properties
        self._schedule: Schedule = parse_schedule(str(properties["schedule"]), zone)
        self._runs_on_startup = bool(properties.get("runOnStartup"))
        self._is_monitored = properties.get("useMonitor") is not False and not is_frequent(
            self._schedule, self._now()
        )
        self._status: ScheduleStatus | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._run_ended = asyncio.Event()
        self._run_ended.set()

    @property
    def name(self) -> str:
        """Name of the function."""
        return self._function.name

    @property
    def schedule(self) -> Schedule:
        """When the function is to run."""
        return self._schedule

    @property
    def expression(self) -> str:
        """The schedule as the function declares it."""
        return str(self._function.trigger.properties["schedule"])

    @property
    def zone(self) -> tzinfo:
        """On whose clock the schedule is read."""
        return self._zone

    @property
    def is_monitored(self) -> bool:
        """Whether the status outlives a restart."""
        return self._is_monitored

    @property
    def status(self) -> ScheduleStatus | None:
        """Last and next run as this process knows them; None before the start."""
        return self._status

    def start(self) -> None:
        """Begin to keep the schedule."""
        self._log_schedule()
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
            logger.warning("The timer function '%s' is still running; it is cut off.", self.name)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _log_schedule(self) -> None:
        moments = coming(self._schedule, self._now(), 5)
        if not moments:
            logger.warning("The schedule of '%s' names no moment to come.", self.name)
            return
        shown = ", ".join(m.astimezone(self._zone).isoformat(sep=" ", timespec="seconds") for m in moments)
        logger.info("Next occurrences of '%s' (%s): %s", self.name, self._schedule, shown)

    async def _keep_on(self) -> None:
        while True:
            try:
                await self._keep()
            except Exception:  # the host's own loop: no error stops a schedule
                logger.exception("The timer of '%s' failed in the host and is taken up again", self.name)
            else:
                return
            await self._sleep(_RETRY_SECONDS)

    async def _keep(self) -> None:
        if self._status is not None:  # after an error of the host: no run is made twice for that
            self._keep_status()
        elif self.take_up():
            logger.info("Function '%s' is past due on startup. Executing now.", self.name)
            await self.run(is_past_due=True)
        elif self._runs_on_startup:
            await self.run(on_startup=True)
        while not self._is_stopping and (following := self._next()) is not None:
            wait = following - self._now()
            if wait > timedelta(0):
                await self._sleep(min(wait, _LONGEST_SLEEP).total_seconds())
                continue
            await self.run()
            # A function that never waits, and whose runs are always late, has to leave others a turn.
            await asyncio.sleep(0)

    def take_up(self) -> bool:
        """Read the stored status, or make a first one. True when a run was missed meanwhile."""
        now = self._now()
        stored = self._read() if self._is_monitored else None
        status = taken_up(stored, self._schedule, now)
        if self._is_monitored and status != stored:
            self._write(status)
        self._status, following = status, status.next_run
        return stored is not None and following is not None and now > following

    async def run(self, *, is_past_due: bool = False, on_startup: bool = False) -> None:
        """Run the function, with its retries, and move the schedule on, also when it fails."""
        begun = self._now()
        shown = self._status if self._is_monitored else None
        self._run_ended.clear()
        try:
            value = timer_datum(shown, is_past_due=is_past_due, zone=self._zone)
            await self._invoker.invoke(self._function, value)
            following = self._next()
            if following is not None and following > begun and not (is_past_due or on_startup):
                begun = following  # a run a little early counts as the one that was due
            self._status = ScheduleStatus(begun, self._schedule.next_after(begun), begun)
            self._keep_status()
        finally:
            self._run_ended.set()

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def _next(self) -> datetime | None:
        return self._status.next_run if self._status else None

    def _read(self) -> ScheduleStatus | None:
        text = self._store.timer_trigger_status(self.name)
        try:
            return ScheduleStatus.from_json(text) if text is not None else None
        except ValueError as error:
            logger.warning("The stored status of the timer '%s' cannot be read: %s", self.name, error)
            return None

    def _keep_status(self) -> None:
        if self._is_monitored and self._status is not None:
            self._write(self._status)

    def _write(self, status: ScheduleStatus) -> None:
        self._store.store_timer_trigger_status(self.name, status.to_json(self._zone))
