"""An orchestration in flight as its recorded history says, for today's code to go on with."""

import importlib
import json
import pkgutil
import re
from functools import cache
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

import activities
import orchestrators
from adapters.in_memory import InMemoryServices
from agent.follow_up import FollowUp, FollowUpSent
from agent.jobs.definition import Job
from agent.task_hub import from_task_hub
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import Event, EventType, Status, parse_utc
from devhost.durable.records import EpisodeChange
from tests.devhost.simulation import Simulation, durable_functions
from tests.unit.orchestrators.recorded_history import RecordedHistory, activities_in
from tests.unit.orchestrators.test_on_the_sdk import SimulatedClock


def modules_with_blueprints() -> list[Any]:
    found = [
        importlib.import_module(f"{package.__name__}.{module.name}")
        for package in (orchestrators, activities)
        for module in pkgutil.iter_modules(package.__path__)
    ]
    return [module for module in found if hasattr(module, "blueprint")]


@cache
def functions_of_today() -> DurableFunctions:
    app = df.DFApp()
    for module in modules_with_blueprints():
        app.register_functions(module.blueprint)
    return durable_functions(app)


class InFlight:
    """An orchestration as it stood after some of its steps, with today's code; the world is in memory."""

    def __init__(
        self, recorded: RecordedHistory, after: int, *, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.past = recorded.before(after)
        self._recorded = recorded
        self._started = recorded.started["OrchestrationInstance"]
        clock = SimulatedClock()
        self.services = InMemoryServices(clock=clock)
        for module in modules_with_blueprints():
            if hasattr(module, "services"):
                monkeypatch.setattr(module, "services", lambda: self.services)
        self.simulation = clock.simulation = Simulation(place / f"{after}.sqlite", functions_of_today())

    async def go_on(self, event: str | None = None) -> str:
        """Go on to the end, perhaps woken by an event; how it ended."""
        job = from_task_hub(self._recorded.given["job"], Job)
        await self._restore_the_world(job)
        self._restore_the_hub()
        if event:
            self.simulation.raise_event(event, None, instance_id=self.instance_id)
        await self.simulation.run()
        instance = self.simulation.instance(self.instance_id)
        self.simulation.hub.close()
        if instance.status is Status.FAILED:
            assert "Non-Deterministic" not in (instance.output or "")
            return "failed"
        assert instance.status is Status.COMPLETED, instance.output
        outcome: str = json.loads(instance.output or "")["outcome"]
        return outcome

    @property
    def told(self) -> list[str]:
        """What the user was told, then and now."""
        then = [
            from_task_hub(given, FollowUp).answer.text
            for name, given, ended in activities_in(self.past)
            if name == "send_follow_up" and ended and result_of(ended, FollowUpSent).outcome == "sent"
        ]
        return [re.sub(r"#\d+", "#1", text) for text in [*then, *self.services.connector.texts]]

    @property
    def instance_id(self) -> str:
        instance_id: str = self._started["InstanceId"]
        return instance_id

    async def _restore_the_world(self, job: Job) -> None:
        await self.services.conversations.heard(job.requested_by, at=job.requested_at)
        self.simulation.now = parse_utc(self._recorded.started["Timestamp"])
        if self._recorded.given.get("outcome") or "begin_job" in done_in(self.past):
            await self.services.orders.place(job.job_id, item="laptop", customer=job.requested_by)

    def _restore_the_hub(self) -> None:
        hub, started = self.simulation.hub, self._recorded.started
        self.simulation.now = now = parse_utc(self.past[-1]["Timestamp"])
        hub.create_instance(
            self.instance_id, self._started["ExecutionId"], self._recorded.orchestrator, started, now
        )
        episode = hub.load_episode(self.instance_id)
        assert episode
        ended = {one.get("TaskScheduledId", one.get("TimerId")) for one in self.past}
        still_open = [one for one in self.past if one["EventId"] not in ended]
        change = EpisodeChange(
            history=self.past,
            status=Status.RUNNING,
            custom_status=None,
            updated=now,
            activities=[
                (one["EventId"], one["Name"], one["Input"])
                for one in still_open
                if one["EventType"] == EventType.TASK_SCHEDULED
            ],
            timers=[
                (one["EventId"], parse_utc(one["FireAt"]))
                for one in still_open
                if one["EventType"] == EventType.TIMER_CREATED
            ],
        )
        hub.commit_episode(episode, change)


def result_of(ended: Event, kind: Any) -> Any:
    result = ended.get("Result")
    return from_task_hub(json.loads(result) if isinstance(result, str) else result, kind)


def done_in(past: list[Event]) -> set[str]:
    """The names of the activity functions that have succeeded."""
    return {
        name
        for name, _, ended in activities_in(past)
        if ended and ended["EventType"] == EventType.TASK_COMPLETED
    }
