"""Moves work through the task hub: steps of instances, activities, entities and timers, fairly."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from devhost.durable.activity_run import ActivityMissing, ActivityRun
from devhost.durable.entity_run import BatchAbandoned, EntityMissing, EntityRun
from devhost.durable.episode import DurableFunctions, EpisodeAbandoned, OrchestratorMissing, run_episode
from devhost.durable.group_commit import GroupCommit
from devhost.durable.http_activity import HttpActivity
from devhost.durable.http_polling import USUAL_PAUSE
from devhost.durable.new_work import NewWork
from devhost.durable.orchestration_timers import OrchestrationTimers
from devhost.durable.records import Committed
from devhost.durable.sdk_shortcuts import take_shortcuts
from devhost.durable.task_hub import TaskHub
from devhost.durable.work_queue import TryLater, WorkQueue
from devhost.invocation.invoker import Invoker

logger = logging.getLogger("devhost")
_LOOK_SECONDS = 0.1  # at what other processes put into the hub
_GATHER_SECONDS = 0.02  # that a result waits for those of the activities beside it


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def usual_concurrency() -> int:
    """How many functions of each durable kind run at once where host.json says nothing."""
    return 10 * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many steps of instances, activities and batches of entities run at once."""

    steps: int
    activities: int
    entities: int

    @classmethod
    def usual(cls) -> "Concurrency":
        most = usual_concurrency()
        return cls(most, most, most)


class Dispatcher:
    """What is queued in memory is also in the hub; `start` finds it all again after a crash."""

    def __init__(
        self,
        hub: TaskHub,
        functions: DurableFunctions,
        invoker: Invoker,
        *,
        clock: Callable[[], datetime] = utc_now,
        most: Concurrency | None = None,
        most_operations: int = 5000,
        http_pause: timedelta = USUAL_PAUSE,
    ) -> None:
        """`most_operations` of an entity make one call of its function; `http_pause` is as for `replay`."""
        most = most or Concurrency.usual()
        self._hub, self._functions, self._invoker, self._clock = hub, functions, invoker, clock
        self._most_operations = most_operations
        self._new_work, self._commits = NewWork(hub), GroupCommit(hub)
        self._entity_run = EntityRun(functions, invoker, clock)
        self._http, self._http_pause = HttpActivity(), http_pause
        self._activity_run = ActivityRun(hub, self._commits, functions, invoker, clock, self._http)
        self._steps = WorkQueue[str]("step of orchestration", most.steps, self._step)
        self._activities = WorkQueue[int]("activity with number", most.activities, self._run_activity)
        self._entities = WorkQueue[str]("batch of entity", most.entities, self._run_batch)
        self._timers = OrchestrationTimers(hub, clock, self.wake)
        self._gathering: dict[str, asyncio.TimerHandle] = {}
        self._step_seconds: dict[str, float] = {}  # of long steps only
        self._missing: set[tuple[str, str]] = (
            set()
        )  # kinds and names of functions that were logged as not there
        self._stands_by = False
        self._loops: list[asyncio.Task[None]] = []

    def stand_by(self) -> None:
        """Leave the hub's work to the process that has its lock, until `start`."""
        self._stands_by = True

    def start(self, *, is_shared: bool = False) -> None:
        """Take up what the hub holds, from this run or an earlier one; `is_shared`: others write into it."""
        self._stands_by = False
        take_shortcuts()
        self.dispatch(self._new_work.look())
        loops = [self._timers.run(), *([self._watch()] if is_shared else [])]
        self._loops = [asyncio.get_running_loop().create_task(loop) for loop in loops]

    async def stop(self, grace_seconds: float) -> None:
        """Begin nothing more; wait for what runs, then cancel it. Cancelled work is still in the hub."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(
            *(queue.stop(grace_seconds) for queue in (self._steps, self._activities, self._entities))
        )
        await self._http.close()

    def wake(self, instance_id: str) -> None:
        """Say that an instance has a message."""
        if self._stands_by:
            return  # who runs the hub looks for what others put into it
        gathering = self._gathering.pop(instance_id, None)
        if gathering is not None:
            gathering.cancel()
        self._steps.put(instance_id)

    def wake_entity(self, entity_id: str) -> None:
        """Say that an entity has a request."""
        if not self._stands_by:
            self._entities.put(entity_id)

    def dispatch(self, committed: Committed) -> None:
        """Take up the work that a transaction has made."""
        if self._stands_by:
            return
        for activity_id in committed.activities:
            self._activities.put(activity_id)
        for instance_id in committed.wake_instances:
            self.wake(instance_id)
        for entity_id in committed.wake_entities:
            self.wake_entity(entity_id)
        if committed.has_timers:
            self._timers.note(self._clock())

    async def _step(self, instance_id: str) -> None:
        episode = self._hub.load_episode(instance_id)
        if episode is None:
            return
        began = time.monotonic()
        try:
            change = await run_episode(
                episode,
                functions=self._functions,
                invoker=self._invoker,
                now=self._clock(),
                http_pause=self._http_pause,
            )
        except OrchestratorMissing as missing:
            self._note_missing("orchestrator", str(missing))
            return
        except EpisodeAbandoned as reason:
            raise TryLater(str(reason)) from None
        self.dispatch(await self._commits.write(lambda: self._hub.commit_episode(episode, change)))
        for _, fire_at in change.timers:
            self._timers.note(fire_at)
        self._note_duration(instance_id, 0 if change.status.is_final else time.monotonic() - began)
        if change.status.is_final:
            logger.info(
                "Orchestration %s (%s) ended: %s", instance_id, episode.instance.name, change.status.text
            )

    def _note_duration(self, instance_id: str, seconds: float) -> None:
        if seconds > _GATHER_SECONDS:
            self._step_seconds[instance_id] = seconds
        else:
            self._step_seconds.pop(instance_id, None)

    def _note_missing(self, kind: str, name: str) -> None:
        if (kind, name.lower()) not in self._missing:
            self._missing.add((kind, name.lower()))
            logger.error(
                "The %s '%s' is not there (it doesn't exist, is disabled or was refused); its work waits in "
                "the task hub until a host starts that has it.",
                kind,
                name,
            )

    async def _run_activity(self, activity_id: int) -> None:
        try:
            instance_id = await self._activity_run.run(activity_id)
        except ActivityMissing as missing:
            self._note_missing("activity", str(missing))
            return
        if instance_id is not None:
            self._wake_with_results(instance_id)

    def _wake_with_results(self, instance_id: str) -> None:
        """Wake an instance, a little later while it waits for more results: one step takes many of them."""
        if not self._hub.has_activities(instance_id):
            self.wake(instance_id)
        elif instance_id not in self._gathering:
            wait = max(_GATHER_SECONDS, self._step_seconds.get(instance_id, 0))
            loop = asyncio.get_running_loop()
            self._gathering[instance_id] = loop.call_later(wait, self.wake, instance_id)

    async def _run_batch(self, entity_id: str) -> None:
        work = self._hub.load_entity(entity_id, most=self._most_operations)
        if work is None:
            return
        try:
            change = await self._entity_run.run(work)
        except EntityMissing as missing:
            self._note_missing("entity", str(missing))
            return
        except BatchAbandoned as reason:
            raise TryLater(str(reason)) from None
        self.dispatch(await self._commits.write(lambda: self._hub.commit_entity(work, change)))
        self.wake_entity(entity_id)  # there may be more than one batch takes

    async def _watch(self) -> None:
        """Take up what other processes put into the hub."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                self.dispatch(self._new_work.look_when_changed())
            except Exception:  # the host's own loop: what comes must go on being found
                logger.exception("The hub could not be looked at; trying again")
