"""What an orchestrator decided anew, and how a history that does not fit its code is told."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from devhost.durable.history import Event, EventType


class OrchestrationFault(Exception):
    """The execution cannot go on; the message becomes its failure."""


class NonDeterminism(OrchestrationFault):
    """The history has what the orchestrator did not ask for this time."""


class DecisionKind(Enum):
    """What is decided: the event that records it, and the framework's name of the action."""

    ACTIVITY = (EventType.TASK_SCHEDULED, "ScheduleTaskOrchestratorAction")
    TIMER = (EventType.TIMER_CREATED, "CreateTimerOrchestratorAction")
    SUB_ORCHESTRATION = (EventType.SUB_ORCHESTRATION_INSTANCE_CREATED, "CreateSubOrchestrationAction")
    EVENT = (EventType.EVENT_SENT, "SendEventOrchestratorAction")

    @property
    def recorded_as(self) -> EventType:
        return self.value[0]

    @property
    def action_name(self) -> str:
        return self.value[1]


RECORDS = frozenset(kind.recorded_as for kind in DecisionKind)


@dataclass(frozen=True, slots=True)
class Decision:
    """Something to do under a task id.

    An activity has `name` and `input_text` (the JSON text that the SDK made); a timer `fire_at`; a
    sub-orchestration `name`, `input_text` and the `instance_id` it is to have; an event the entity as
    `instance_id`, the event's `name` and its text as `input_text`.
    """

    kind: DecisionKind
    task_id: int
    name: str = ""
    input_text: str | None = None
    fire_at: datetime | None = None
    instance_id: str = ""


def require_match(event: Event, decision: Decision | None) -> None:
    """See that an event of the history records this decision. Raises NonDeterminism."""
    words = _WORDS[event["EventType"]]
    if decision is None:
        known = f"{words.known_as}{words.comma}"
        told = f"{known} but the current replay execution hasn't (yet?) scheduled this task"
    elif decision.kind.recorded_as != event["EventType"]:
        told = f"{words.named} but the current orchestration replay instead {words.other_kind}"
    elif decision.kind is not DecisionKind.TIMER and decision.name.lower() != str(event["Name"]).lower():
        told = f"{words.named} but the current orchestration replay instead {words.other_name}"
    else:
        return
    values = {"id": event["EventId"], **{name: event.get(name, "") for name in _MEMBERS}}
    if decision is not None:
        values |= {"action": decision.kind.action_name, "other": decision.name}
    raise NonDeterminism(
        f"Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
        f"{told.format(**values)}. Was a change made to the orchestrator code after this instance had "
        "already started running?"
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """The framework's words for one kind of event: where nothing, another kind or another name stands."""

    known_as: str
    named: str
    other_kind: str
    other_name: str = ""
    comma: str = ","


_MEMBERS = ("Name", "Version", "InstanceId")
_ACTIVITY = "an activity task with sequence number {id} named '{Name}',"
_CHILD = (
    "a sub-orchestration task with sequence ID {id} and name '{Name}' "
    "(version '{Version}', instance ID '{InstanceId}')"
)
_EVENT = (
    "a send event task with sequence ID {id}, type 'EventSent', name '{Name}', instance ID '{InstanceId}'"
)
_WORDS = {
    EventType.TASK_SCHEDULED: _Words(
        "an activity task with sequence ID {id} and name '{Name}' (version '{Version}')",
        _ACTIVITY,
        "produced a {action} action with this sequence number",
        "scheduled an activity task named '{other}' with this sequence number",
    ),
    EventType.TIMER_CREATED: _Words(
        "a timer task with sequence number {id}",
        "a timer task with sequence number {id} named",
        "produced a {action} action with this sequence number",
        comma="",
    ),
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED: _Words(
        _CHILD,
        f"{_CHILD},",
        "produced a {action} action at this sequence number",
        "scheduled a sub-orchestration task with name {other} at this sequence number",
    ),
    EventType.EVENT_SENT: _Words(
        _EVENT,
        f"{_EVENT},",
        "scheduled a {action} task at this sequence number",
        "scheduled a send event task with name {other} at this sequence number",
    ),
}
