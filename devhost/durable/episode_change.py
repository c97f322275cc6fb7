"""What one step of an instance writes: its events, what it schedules, and what it sends to others."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from devhost.durable.decision import Decision, DecisionKind
from devhost.durable.history import (
    Event,
    EventType,
    Status,
    event,
    execution_started,
    parent_instance,
    sub_orchestration_failed,
    utc_text,
)
from devhost.durable.http_call import HTTP_ACTIVITY
from devhost.durable.orchestrator_reply import OrchestratorReply
from devhost.durable.records import ChildStart, Episode, EpisodeChange
from devhost.durable.replay import ReplayOutcome

Sent = tuple[str, str]  # an entity's id and a request to it


@dataclass(frozen=True, slots=True)
class Ending:
    """How an execution ends. `output` is the result's JSON text, the failure's text or the reason."""

    status: Status
    output: str | None
    custom_status: str | None
    details: str | None = None  # of a failure, for the orchestration that started this one


class EpisodeWriter:
    """Makes the change of one episode; `new` are its own events, which are marked as played."""

    def __init__(self, episode: Episode, past: list[Event], new: list[Event], now: datetime) -> None:
        self.past, self.new, self.now = past, new, now
        self._instance = episode.instance

    def go_on(self, outcome: ReplayOutcome, reply: OrchestratorReply) -> EpisodeChange:
        """The instance runs on, or stays suspended."""
        decisions = outcome.decisions
        return EpisodeChange(
            history=self._played(*map(self._recorded, decisions), self._completed_step()),
            status=Status.SUSPENDED if outcome.is_suspended else Status.RUNNING,
            custom_status=reply.custom_status,
            updated=self.now,
            activities=[
                (one.task_id, one.name, _one_element(one))
                for one in decisions
                if one.kind is DecisionKind.ACTIVITY
            ],
            timers=[(one.task_id, one.fire_at) for one in decisions if one.fire_at is not None],
            children=[self._child(one) for one in decisions if one.kind is DecisionKind.SUB_ORCHESTRATION],
            entity_messages=_sent(decisions),
        )

    def end(self, ending: Ending, outcome: ReplayOutcome | None = None) -> EpisodeChange:
        """The execution is over; without an outcome nothing of what it decided is recorded."""
        used = [item["EventId"] for item in [*self.past, *self.new]]
        completed = event(
            EventType.EXECUTION_COMPLETED,
            self.now,
            outcome.next_id if outcome else max(used) + 1,
            OrchestrationStatus=int(ending.status),
            Result=ending.output,
            FailureDetails=None,
        )
        # Decisions that are still open are cancelled timers, which never fire, and events, which are sent.
        decisions = outcome.decisions if outcome else []
        return EpisodeChange(
            history=self._played(*map(self._recorded, decisions), completed, self._completed_step()),
            status=ending.status,
            custom_status=ending.custom_status,
            updated=self.now,
            output=ending.output,
            to_parent=self._to_parent(ending),
            entity_messages=_sent(decisions),
        )

    def start_over(self, outcome: ReplayOutcome, reply: OrchestratorReply) -> EpisodeChange:
        """The execution continues as a new one, with an empty history."""
        execution_id = uuid.uuid4().hex
        # The SDK gave JSON text; stored like a client's input it is the JSON of that text.
        input_text = json.dumps(outcome.continued_input, ensure_ascii=False)
        carried = [
            {**item, "IsPlayed": False} for item in outcome.carried_events
        ]  # this history may have them
        return EpisodeChange(
            history=[],
            status=Status.RUNNING,
            custom_status=reply.custom_status,
            updated=self.now,
            starts_over=(execution_id, input_text),
            messages=[self._started_again(execution_id, input_text), *carried],
            entity_messages=_sent(outcome.decisions),
        )

    def _started_again(self, execution_id: str, input_text: str) -> Event:
        instance, link = self._instance, self._instance.parent
        parent = (
            parent_instance(link.instance_id, link.execution_id, link.task_id, link.name) if link else None
        )
        return execution_started(
            instance.instance_id, execution_id, instance.name, input_text, self.now, parent=parent
        )

    def _played(self, *more: Event) -> list[Event]:
        events = [*self.new, *more]
        for item in events:
            item["IsPlayed"] = item["EventType"] != EventType.ORCHESTRATOR_STARTED
        return events

    def _completed_step(self) -> Event:
        return event(EventType.ORCHESTRATOR_COMPLETED, self.now)

    def _recorded(self, decision: Decision) -> Event:
        members: dict[str, object] = {}
        match decision.kind:
            case DecisionKind.TIMER:
                members = {"FireAt": utc_text(decision.fire_at or self.now)}
            case DecisionKind.ACTIVITY:
                given = _one_element(decision)
                members = {"Name": decision.name, "Version": "", "Input": given, "Tags": None}
            case DecisionKind.SUB_ORCHESTRATION:
                child_id, given = decision.instance_id, _text_of_text(decision)
                members = {"Name": decision.name, "Version": "", "InstanceId": child_id, "Input": given}
            case DecisionKind.EVENT:
                to, given = decision.instance_id, decision.input_text or ""
                members = {"InstanceId": to, "Name": decision.name, "Input": given}
        return event(decision.kind.recorded_as, self.now, decision.task_id, **members)

    def _child(self, decision: Decision) -> ChildStart:
        parent, execution_id = self._instance, uuid.uuid4().hex
        started = execution_started(
            decision.instance_id,
            execution_id,
            decision.name,
            _text_of_text(decision),
            self.now,
            parent=parent_instance(parent.instance_id, parent.execution_id, decision.task_id, parent.name),
        )
        return ChildStart(decision.instance_id, execution_id, decision.name, decision.task_id, started)

    def _to_parent(self, ending: Ending) -> Event | None:
        """What the orchestration that started this one is told; None where there is none."""
        if self._instance.parent is None:
            return None
        task_id = self._instance.parent.task_id
        if ending.status is not Status.COMPLETED:
            return sub_orchestration_failed(task_id, ending.output, ending.details, self.now)
        kind = EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED
        return event(kind, self.now, TaskScheduledId=task_id, Result=ending.output)


def _sent(decisions: list[Decision]) -> list[Sent]:
    return [(one.instance_id, one.input_text or "") for one in decisions if one.kind is DecisionKind.EVENT]


def _one_element(decision: Decision) -> str:
    """An activity's input is a JSON array of one: the JSON text that the SDK made, or call_http's request."""
    if decision.name == HTTP_ACTIVITY:
        return f"[{decision.input_text}]"
    return json.dumps([decision.input_text], ensure_ascii=False)


def _text_of_text(decision: Decision) -> str:
    """A sub-orchestration's input is stored like a client's: the JSON of the JSON text that the SDK made."""
    return json.dumps(decision.input_text, ensure_ascii=False)
