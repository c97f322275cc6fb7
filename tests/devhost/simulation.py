"""The durable part of the host without time or a process; every step can be followed by a restart."""

import inspect
import random
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import msgspec

from devhost.durable.activity import activity_value, answered_event, completed_event
from devhost.durable.entity_run import EntityRun
from devhost.durable.episode import DurableFunctions, run_episode
from devhost.durable.history import Event, EventType, event, execution_started, parse_utc
from devhost.durable.http_call import HTTP_ACTIVITY
from devhost.durable.records import ActivityWork, Episode, Instance
from devhost.durable.task_hub import TaskHub
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.invocation.invoker import Invoker

_MOST_STEPS = 10_000
START = datetime(2026, 1, 1, tzinfo=UTC)


def durable_functions(app: df.DFApp) -> DurableFunctions:
    """The durable functions of an app object (which can be asked only once)."""
    kinds = ("orchestrationTrigger", "activityTrigger", "entityTrigger")
    found: dict[str, dict[str, FunctionDefinition]] = {kind: {} for kind in kinds}
    for function in app.get_functions():
        raw = [msgspec.json.decode(text) for text in function.get_raw_bindings()]
        bindings = tuple(Binding(item["name"], item["type"], item["direction"], item) for item in raw)
        user_function, name = function.get_user_function(), function.get_function_name()
        signature = read_signature(name, user_function, bindings)
        is_async = inspect.iscoroutinefunction(user_function)
        trigger = bindings[0]
        definition = FunctionDefinition(name, user_function, trigger, bindings, signature, is_async=is_async)
        found[trigger.type][definition.durable_name.lower()] = definition
    orchestrators, activities, entities = (found[kind] for kind in kinds)
    return DurableFunctions(orchestrators, activities, entities=entities)


class Simulation:
    """Takes work from the hub alone. Time stands still while there is work, then jumps to the next timer."""

    def __init__(
        self,
        path: Path,
        functions: DurableFunctions,
        *,
        restarts: bool = False,
        chance: random.Random | None = None,
        limit: timedelta | None = None,
        most_operations: int = 5000,
    ) -> None:
        self._path, self._functions, self._restarts = path, functions, restarts
        self._chance = chance
        self._most_operations = most_operations  # of an entity, in one batch
        self._invoker = Invoker(str(path.parent), limit)
        self.hub = TaskHub(path)
        self.now = START

    def start(self, name: str, given: object = None, *, instance_id: str = "i") -> None:
        text = msgspec.json.encode(msgspec.json.encode(given).decode()).decode()
        execution_id = f"{instance_id}-1"
        started = execution_started(instance_id, execution_id, name, text, self.now)
        self.hub.create_instance(instance_id, execution_id, name, started, self.now)

    def raise_event(self, name: str, value: object, *, instance_id: str = "i") -> None:
        text = msgspec.json.encode(value).decode()
        self.hub.add_event(instance_id, event(EventType.EVENT_RAISED, self.now, Name=name, Input=text))

    def terminate(self, reason: str, *, instance_id: str = "i") -> None:
        self.hub.add_event(instance_id, event(EventType.EXECUTION_TERMINATED, self.now, Input=reason))

    def suspend(self, reason: str = "", *, instance_id: str = "i") -> None:
        self.hub.add_event(instance_id, event(EventType.EXECUTION_SUSPENDED, self.now, Reason=reason))

    def resume(self, reason: str = "", *, instance_id: str = "i") -> None:
        self.hub.add_event(instance_id, event(EventType.EXECUTION_RESUMED, self.now, Reason=reason))

    def signal(self, entity_id: str, operation: str, given: object = None) -> None:
        """Signal an entity as the management API does for the SDK's client."""
        text = None if given is None else msgspec.json.encode(msgspec.json.encode(given).decode()).decode()
        body = {"op": operation, "signal": True, "input": text, "id": str(uuid.uuid4()), "parent": None}
        self.hub.add_entity_message(entity_id, msgspec.json.encode(body).decode())

    def state(self, entity_id: str) -> Any:
        """The state of an entity, or None when it does not exist."""
        entity = self.hub.entity(entity_id)
        return None if entity is None else msgspec.json.decode(entity.state or "null")

    def instance(self, instance_id: str = "i") -> Instance:
        instance = self.hub.instance(instance_id)
        assert instance is not None
        return instance

    def history(self, instance_id: str = "i") -> list[Event]:
        return [msgspec.json.decode(text) for text in self.hub.history(instance_id)]

    def kinds(self, instance_id: str = "i") -> list[int]:
        return [item["EventType"] for item in self.history(instance_id)]

    async def run(self, *, between: Callable[[], None] = lambda: None) -> None:
        """Step until nothing is left to do; `between` is called before each step."""
        between()
        for _ in range(_MOST_STEPS):
            if not await self.step():
                return
            between()
        raise AssertionError("the simulation comes to no end")

    async def step(self) -> bool:
        """Do one piece of work, or let time pass; False when there is nothing to wait for."""
        did = await self._step()
        if self._restarts:
            self.restart()
        return did

    def restart(self) -> None:
        """Forget all but the file."""
        self.hub.close()
        self.hub = TaskHub(self._path)

    async def _step(self) -> bool:
        work: list[str | ActivityWork] = [*self.hub.waiting_instances(), *self.hub.pending_activities()]
        work += self.hub.waiting_entities()
        if work:
            chosen = self._chance.choice(work) if self._chance else work[0]
            if isinstance(chosen, ActivityWork):
                await self._run_activity(chosen)
            elif chosen.startswith("@"):
                await self._run_entity(chosen)
            else:
                await self._run_instance(chosen)
            return True
        fire_at = self.hub.next_timer()
        if fire_at is None:
            return False
        self.now = max(self.now, parse_utc(fire_at))
        self._fire()
        return True

    def _fire(self) -> None:
        due: Sequence[Any] = self.hub.due_timers(self.now)
        self.hub.fire_timers(
            (row, event(EventType.TIMER_FIRED, self.now, TimerId=row[2], FireAt=row[3])) for row in due
        )

    async def _run_instance(self, instance_id: str) -> None:
        episode = self.hub.load_episode(instance_id)
        if episode is None:
            return
        change = await self.episode(episode)
        if self._is_killed():
            return
        self.hub.commit_episode(episode, change)
        self.now += timedelta(milliseconds=1)

    async def episode(self, episode: Episode) -> Any:
        return await run_episode(episode, functions=self._functions, invoker=self._invoker, now=self.now)

    async def _run_activity(self, work: ActivityWork) -> None:
        if work.name == HTTP_ACTIVITY:
            ended = answered_event(work, self.answer_http(work.input_text), self.now)
        else:
            function = self._functions.activities[work.name.lower()]
            result = await self._invoker.invoke(function, activity_value(work.input_text))
            ended = completed_event(work, result, self.now)
        if not self._is_killed():
            self.hub.complete_activity(work, ended)

    def answer_http(self, input_text: str | None) -> str:
        """The answer to a request of call_http, as JSON text; for those who expect one to replace."""
        raise AssertionError(f"nobody answers {input_text}")

    async def _run_entity(self, entity_id: str) -> None:
        work = self.hub.load_entity(entity_id, most=self._most_operations)
        assert work is not None
        change = await EntityRun(self._functions, self._invoker, lambda: self.now).run(work)
        if not self._is_killed():
            self.hub.commit_entity(work, change)
            self.now += timedelta(milliseconds=1)

    def _is_killed(self) -> bool:
        """Whether the process dies here, after the work and before it is stored."""
        return self._chance is not None and self._restarts and self._chance.random() < 0.2
