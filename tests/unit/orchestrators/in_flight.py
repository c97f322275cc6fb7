"""An orchestration in flight as its recorded history says, for today's code to go on with."""

import importlib
import json
import pkgutil
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

import activities
import orchestrators
from adapters.in_memory import InMemoryServices
from agent.approval import ApprovalEntry, ApprovalState, approval_id_of, put_to_key
from agent.composing import BROKEN_OFF
from agent.follow_up import FollowUp
from agent.job_view import HANDED_OVER
from agent.jobs.catalog import job_of
from agent.jobs.definition import Approved, Job
from agent.task_hub import from_task_hub
from agent.view import View
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import Event, EventType, Status, parse_utc
from devhost.durable.records import EpisodeChange
from tests.devhost.simulation import Simulation, durable_functions
from tests.unit.orchestrators.recorded_history import RecordedHistory, activities_in, result_of
from tests.unit.orchestrators.test_on_the_sdk import SimulatedClock

# What an approval is once it ended a job in this way.
ENDED_AS: dict[str, ApprovalState] = {"rejected": "rejected", "failed": "expired", "cancelled": "withdrawn"}


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
        await self._restore_the_world(self.job)
        self._restore_the_hub()
        if event == "answered":
            await self._answer("approved")
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
    def job(self) -> Job:
        job: Job = from_task_hub(self._recorded.given["job"], Job)
        return job

    @property
    def asks(self) -> bool:
        """Whether the job is begun only once somebody said yes."""
        return self._recorded.orchestrator == "approval" and not self._recorded.given["isApproved"]

    @property
    def is_rejected(self) -> bool:
        """Whether somebody has said no, in the recording so far."""
        settled = results_in(self._recorded.history, "settle_approval")
        is_no = bool(settled and settled[-1]["ended"] and settled[-1]["ended"]["outcome"] == "rejected")
        return is_no and "answered" in raised_in(self.past)

    @property
    def told(self) -> list[str]:
        """What the user was told, then and now, a card by its summary; not what was asked and shown."""
        now = [call.body or {} for call in self.services.connector.calls if call.method == "send"]
        told = [*told_in(self.past), *(body.get("text") or body["summary"] for body in now if is_told(body))]
        return [re.sub(r"#\d+", "#1", words) for words in told]

    @property
    def instance_id(self) -> str:
        instance_id: str = self._started["InstanceId"]
        return instance_id

    async def _restore_the_world(self, job: Job) -> None:
        await self.services.conversations.heard(job.requested_by, at=job.requested_at)
        self.simulation.now = parse_utc(self._recorded.started["Timestamp"])
        has_begun = self._recorded.given.get("outcome") or "begin_job" in done_in(self.past)
        if has_begun and job.kind == "order_laptop":
            await self.services.orders.place(job.job_id, item="laptop", customer=job.requested_by)
        if job.shown_as in ("card", "stream"):
            await self._restore_the_turn(job)
        if results_in(self.past, "ask_approval"):
            await self._restore_the_approval(job)

    async def _restore_the_turn(self, job: Job) -> None:
        assert job.shown_as
        claim = await self.services.turn_claims.insert(job.job_id, at=job.requested_at)
        assert claim
        view = View(kind=job.shown_as, opened_at=job.requested_at, shown_at=job.requested_at, sequence=1)
        acknowledged = msgspec.structs.replace(claim, state="acknowledged", sent_ids=("opened",), view=view)
        await self.services.turn_claims.write(acknowledged)

    async def _restore_the_approval(self, job: Job) -> None:
        """What was asked, and answered as the recording has it."""
        definition, asked = job_of(job), results_in(self.past, "ask_approval")[-1]
        assert isinstance(definition, Approved)
        approval = await definition.approval(job, services=self.services)
        entry = ApprovalEntry(
            approval_id=approval_id_of(job.job_id),
            job_id=job.job_id,
            title=definition.title,
            approval=approval,
            asked_by="Alex Wilber",
            put_to_key=put_to_key(approval, job.requested_by),
            asked_at=job.requested_at,
            expires_at=msgspec.convert(asked["expiresAt"], datetime),
        )
        await self.services.approvals.insert(entry)
        settled = [
            one["ended"]["outcome"] for one in results_in(self.past, "settle_approval") if one["ended"]
        ]
        if settled:
            await self._answer(ENDED_AS[settled[-1]])
        elif "answered" in raised_in(self.past):
            await self._answer("rejected" if self.is_rejected else "approved")

    async def _answer(self, state: ApprovalState) -> None:
        entry = await self.services.approvals.find(approval_id_of(self.instance_id))
        if entry and entry.is_open:
            answered = msgspec.structs.replace(
                entry, state=state, answered_by="Alex Wilber", answered_at=self.simulation.now
            )
            await self.services.approvals.answer(answered)

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


def results_in(past: list[Event], function: str) -> list[Any]:
    """What this activity function has returned, each time."""
    return [
        result_of(ended)
        for name, _, ended in activities_in(past)
        if name == function and ended and ended["EventType"] == EventType.TASK_COMPLETED
    ]


def raised_in(past: list[Event]) -> set[str]:
    """The names of the external events that came."""
    return {one["Name"] for one in past if one["EventType"] == EventType.EVENT_RAISED}


def told_in(past: list[Event]) -> list[str]:
    """What the user was told: by follow-ups, and by what composed an answer."""
    answers = [
        from_task_hub(given, FollowUp).answer
        for name, given, ended in activities_in(past)
        if name == "send_follow_up" and ended and (result_of(ended) or {}).get("outcome") == "sent"
    ]
    composed = [one for one in results_in(past, "compose_answer") if one["isTold"]]
    told = [answer.text or answer.summary for answer in answers]
    return [*told, *(one["outcome"]["tell"]["text"] for one in composed)]


def is_told(outgoing: dict[str, Any]) -> bool:
    """Whether a message tells what came of the job: no question, no reminder, no end of a stream alone."""
    text, summary = str(outgoing.get("text", "")), str(outgoing.get("summary", ""))
    is_question = summary.startswith("Your answer is needed") or text.startswith("A reminder: ")
    return outgoing["type"] == "message" and not is_question and not text.endswith((HANDED_OVER, BROKEN_OFF))


def done_in(past: list[Event]) -> set[str]:
    """The names of the activity functions that have succeeded."""
    return {
        name
        for name, _, ended in activities_in(past)
        if ended and ended["EventType"] == EventType.TASK_COMPLETED
    }
