"""Moves work through the task hub: steps of instances, activities and timers, concurrently and fairly."""

import asyncio
import logging
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from devhost.durable.activity import activity_value, completed_event, failed_event
from devhost.durable.episode import DurableFunctions, EpisodeAbandoned, OrchestratorMissing, run_episode
from devhost.durable.history import EventType, event, parse_utc
from devhost.durable.records import ActivityWork, Committed
from devhost.durable.task_hub import TaskHub
from devhost.invocation.invoker import InvocationResult, Invoker
from devhost.storable_text import describe

logger = logging.getLogger("devhost")
_RETRY_SECONDS = 5.0  # doubled for each further failure of one step, up to the longest
_LONGEST_RETRY_SECONDS = 300.0
_LOOK_SECONDS = 0.1  # at what other processes put into the hub
_LONGEST_SLEEP_SECONDS = 60.0  # so that a changed clock is noticed


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def usual_concurrency() -> int:
    """How many orchestrators, and how many activities, run at once where host.json says nothing."""
    return 10 * (os.cpu_count() or 1)


class Dispatcher:
    """What is queued in memory is also in the hub; `start` finds it all again after a crash."""

    def __init__(
        self,
        hub: TaskHub,
        functions: DurableFunctions,
        invoker: Invoker,
        *,
        clock: Callable[[], datetime] = utc_now,
        most_steps: int | None = None,
        most_activities: int | None = None,
    ) -> None:
        self._hub, self._functions, self._invoker, self._clock = hub, functions, invoker, clock
        self._most_steps = most_steps or usual_concurrency()
        self._most_activities = most_activities or usual_concurrency()
        self._ready: deque[str] = deque()
        self._queued: set[str] = set()  # in _ready
        self._stepping: set[str] = set()
        self._again: set[str] = set()  # woken while stepping
        self._failures: dict[str, int] = {}  # steps that failed in a row
        self._retries: dict[str, asyncio.TimerHandle] = {}
        self._missing: set[str] = set()  # names of functions that were logged as not there
        self._activities: deque[int] = deque()
        self._running_activities = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers_changed = asyncio.Event()
        self._is_stopping = False
        self._stands_by = False
        self._loops: list[asyncio.Task[None]] = []

    def stand_by(self) -> None:
        """Leave the hub's work to the process that has its lock, until `start`."""
        self._stands_by = True

    def start(self, *, is_shared: bool = False) -> None:
        """Take up what the hub holds, from this run or an earlier one; `is_shared`: others write into it."""
        self._stands_by = False
        self._activities.extend(self._hub.pending_activity_ids())
        for instance_id in self._hub.waiting_instances():
            self.wake(instance_id)
        loops = [self._fire_timers(), *([self._watch()] if is_shared else [])]
        self._loops = [asyncio.get_running_loop().create_task(loop) for loop in loops]
        self._pump_activities()

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more; wait for what runs, then cancel it. Cancelled work is still in the hub."""
        self._is_stopping = True
        for loop in self._loops:
            loop.cancel()
        for retry in self._retries.values():
            retry.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def wake(self, instance_id: str) -> None:
        """Say that an instance has a message."""
        if self._stands_by:
            return  # who runs the hub looks for what others put into it
        if instance_id in self._stepping:
            self._again.add(instance_id)
        elif instance_id not in self._queued:
            self._queued.add(instance_id)
            self._ready.append(instance_id)
            self._pump_instances()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pump_instances(self) -> None:
        while self._ready and len(self._stepping) < self._most_steps and not self._is_stopping:
            instance_id = self._ready.popleft()
            self._queued.discard(instance_id)
            self._stepping.add(instance_id)
            self._spawn(self._step(instance_id))

    async def _step(self, instance_id: str) -> None:
        retry = self._retries.pop(instance_id, None)
        if retry is not None:
            retry.cancel()  # a message came before it; one instance never has two retries under way
        is_to_retry = False
        try:
            await self._run_one_step(instance_id)
        except OrchestratorMissing as missing:
            self._note_missing("orchestrator", str(missing))
        except EpisodeAbandoned as reason:
            logger.error("The step of orchestration %s is abandoned and tried again: %s", instance_id, reason)
            is_to_retry = True
        except Exception:  # the host's own loop: one instance's trouble must not stop the others
            logger.exception(
                "The step of orchestration %s failed in the host and is tried again", instance_id
            )
            is_to_retry = True
        finally:
            self._stepping.discard(instance_id)
        if is_to_retry:
            self._again.discard(instance_id)
            self._retry_later(instance_id)
        else:
            self._failures.pop(instance_id, None)
            if instance_id in self._again:
                self._again.discard(instance_id)
                self.wake(instance_id)
        self._pump_instances()

    def _retry_later(self, instance_id: str) -> None:
        """A step that timed out may still hold its thread: ever longer waits keep the pool from filling."""
        failures = self._failures[instance_id] = self._failures.get(instance_id, 0) + 1
        delay = min(_RETRY_SECONDS * 2 ** min(failures - 1, 20), _LONGEST_RETRY_SECONDS)
        self._retries[instance_id] = asyncio.get_running_loop().call_later(delay, self.wake, instance_id)

    def _note_missing(self, kind: str, name: str) -> None:
        if name.lower() not in self._missing:
            self._missing.add(name.lower())
            logger.error(
                "The %s '%s' is not there (it doesn't exist, is disabled or was refused); its work waits in "
                "the task hub until a host starts that has it.",
                kind,
                name,
            )

    async def _run_one_step(self, instance_id: str) -> None:
        episode = self._hub.load_episode(instance_id)
        if episode is None:
            return
        change = await run_episode(
            episode, functions=self._functions, invoker=self._invoker, now=self._clock()
        )
        self.dispatch(self._hub.commit_episode(episode, change))
        if change.timers:
            self._timers_changed.set()
        if change.status.is_final:
            logger.info(
                "Orchestration %s (%s) ended: %s", instance_id, episode.instance.name, change.status.text
            )

    def dispatch(self, committed: Committed) -> None:
        """Take up the work that a transaction has made."""
        if self._stands_by:
            return  # who runs the hub looks for what others put into it
        self._activities.extend(committed.activities)
        for instance_id in committed.wake_instances:
            self.wake(instance_id)
        self._pump_activities()

    def _pump_activities(self) -> None:
        while self._activities and self._running_activities < self._most_activities and not self._is_stopping:
            self._running_activities += 1
            self._spawn(self._run_activity(self._activities.popleft()))

    async def _run_activity(self, activity_id: int) -> None:
        try:
            work = self._hub.activity(activity_id)
            if work is None:
                return  # purged while it was queued
            function = self._functions.activities.get(work.name.lower())
            if function is None:
                self._note_missing("activity", work.name)
                return
            result = await self._invoker.invoke(function, activity_value(work.input_text))
            self._store_result(work, result)
            self.wake(work.instance_id)
        except Exception:  # the host's own loop; the activity stays in the hub and runs again
            logger.exception("An activity could not be completed in the host and runs again")
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._requeue, activity_id)
        finally:
            self._running_activities -= 1
            self._pump_activities()

    def _store_result(self, work: ActivityWork, result: InvocationResult) -> None:
        try:
            self._hub.complete_activity(work, completed_event(work, result, self._clock()))
        except sqlite3.OperationalError:
            raise  # a full disk or a locked file: another time it may work
        except Exception as error:  # a result that no store takes: to run the activity again is no use
            logger.exception("The result of an activity of orchestration %s is lost", work.instance_id)
            reason = f"devhost cannot store the result: {describe(error)}"
            self._hub.complete_activity(work, failed_event(work, reason, "", self._clock()))

    def _requeue(self, activity_id: int) -> None:
        self._activities.append(activity_id)
        self._pump_activities()

    async def _watch(self) -> None:
        """Take up what other processes put into the hub."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if self._hub.was_changed_elsewhere():
                    for instance_id in self._hub.waiting_instances():
                        self.wake(instance_id)
            except Exception:  # the host's own loop: what comes must go on being found
                logger.exception("The hub could not be looked at; trying again")

    async def _fire_timers(self) -> None:
        while True:
            try:
                self._timers_changed.clear()
                self.fire_due_timers()
                wait = self._seconds_to_next_timer()
            except Exception:  # the host's own loop: timers must go on
                logger.exception("Timers could not be fired; trying again")
                wait = _RETRY_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._timers_changed.wait()
            except TimeoutError:
                continue

    def fire_due_timers(self) -> None:
        """Turn every timer that is due into a message and wake its instance."""
        now = self._clock()
        due = self._hub.due_timers(now)
        if not due:
            return
        self._hub.fire_timers(
            (row, event(EventType.TIMER_FIRED, now, TimerId=row[2], FireAt=row[3])) for row in due
        )
        for instance_id, *_ in due:
            self.wake(instance_id)

    def _seconds_to_next_timer(self) -> float:
        fire_at = self._hub.next_timer()
        if fire_at is None:
            return _LONGEST_SLEEP_SECONDS
        seconds = (parse_utc(fire_at) - self._clock()).total_seconds()
        return min(max(seconds, 0.001), _LONGEST_SLEEP_SECONDS)
