"""Runs an orchestrator without a host: activities at once, timers by stepping the clock."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import azure.durable_functions as df

from adapters.in_memory import SteppedClock

Activity = Callable[[Any], Awaitable[Any]]


def activities_of(modules: Iterable[ModuleType]) -> dict[str, Activity]:
    """The activity functions of the modules, by name."""
    return {
        function._function.get_function_name(): function._function.get_user_function()
        for module in modules
        for function in vars(module).values()
        if hasattr(function, "_function")
    }


class Task:
    """What an orchestrator yields. ``due``: when an activity function ends that is waited for beside others;
    ``ended``: what came of it then, to be given as often as it is asked for."""

    def __init__(self, kind: str, *, of: Any = None, given: Any = None) -> None:
        self.kind, self.of, self.given = kind, of, given
        self.is_cancelled = False
        self.due: datetime | None = None
        self.ended: asyncio.Future[Any] | None = None

    def cancel(self) -> None:
        self.is_cancelled = True


class SteppedOrchestration:
    """The orchestration context, and the host that runs it. ``events`` are raised at their times.

    ``durations``: of activity functions, by name, where they are waited for beside a timer.
    """

    def __init__(
        self,
        orchestrator: Any,
        given: Any,
        *,
        activities: dict[str, Activity],
        clock: SteppedClock,
        events: dict[str, datetime] | None = None,
        durations: dict[str, timedelta] | None = None,
    ) -> None:
        self._orchestrate = orchestrator.build().get_user_function().orchestrator_function
        self._given = given
        self._activities = activities
        self._clock = clock
        self._events = events or {}
        self.durations = durations or {}
        self.statuses: list[Any] = []
        self.timers: list[Task] = []
        self.executions = 1

    # The orchestration context, as far as our orchestrators use it.

    @property
    def current_utc_datetime(self) -> datetime:
        return self._clock.now()

    def get_input(self, expected_type: type) -> Any:
        return self._given

    def set_custom_status(self, status: Any) -> None:
        self.statuses.append(status)

    def call_activity_with_retry(self, function: Any, retries: df.RetryOptions, given: Any) -> Task:
        return Task("activity", of=(function._function.get_function_name(), retries), given=given)

    def call_activity(self, function: Any, given: Any) -> Task:
        return Task("activity", of=(function._function.get_function_name(), None), given=given)

    def create_timer(self, fire_at: datetime) -> Task:
        self.timers.append(Task("timer", given=fire_at))
        return self.timers[-1]

    def wait_for_external_event(self, name: str) -> Task:
        return Task("event", of=name)

    def task_any(self, tasks: list[Task]) -> Task:
        return Task("any", given=tasks)

    def continue_as_new(self, given: Any) -> None:
        self._given = given
        self.executions += 1

    # The host.

    async def run(self) -> Any:
        """The orchestrator's output. Raises what it raises."""
        while True:
            executions = self.executions
            generator = self._orchestrate(self)
            assert inspect.isgenerator(generator)
            output = await self._run_through(generator)
            if executions == self.executions:
                return output

    async def _run_through(self, generator: Any) -> Any:
        result, failure = None, None
        while True:
            try:
                task = generator.throw(failure) if failure else generator.send(result)
            except StopIteration as end:
                return end.value
            try:
                result, failure = await self._end(task), None
            except Exception as error:  # noqa: BLE001 - whatever an activity raises reaches its orchestrator
                failure = Exception(f"Activity function failed: {error}")

    async def _end(self, task: Task) -> Any:
        if task.kind == "activity":
            if task.due:
                self._step_to(task.due)
            return await (task.ended or self._call(task))
        if task.kind == "timer":
            self._step_to(task.given)
            return None
        assert task.kind == "any", f"an orchestrator waits for {task.kind} alone"
        first: Task = min(task.given, key=self._due)
        self._step_to(self._due(first))
        if first.kind == "activity":
            first.ended = asyncio.ensure_future(self._call(first))
            await asyncio.wait([first.ended])
        if first.kind == "event":
            del self._events[first.of]  # it is raised once
        return first

    def _step_to(self, due: datetime) -> None:
        self._clock.step(max(due - self._clock.now(), timedelta(0)))

    def _due(self, task: Task) -> datetime:
        if task.kind == "timer":
            due: datetime = task.given
            return due
        if task.kind == "activity":
            lasts = self.durations.get(task.of[0], timedelta(0))
            task.due = task.due or self._clock.now() + lasts
            return task.due
        return self._events.get(task.of, datetime.max.replace(tzinfo=UTC))

    async def _call(self, task: Task) -> Any:
        name, retries = task.of
        if retries is None:
            return await self._activities[name](task.given)
        interval = timedelta(milliseconds=retries.first_retry_interval_in_milliseconds)
        for _ in range(retries.max_number_of_attempts - 1):
            with suppress(Exception):
                return await self._activities[name](task.given)
            self._clock.step(interval)
        return await self._activities[name](task.given)
