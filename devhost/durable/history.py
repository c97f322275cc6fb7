"""History events: their numbers, their members, and the moments and texts in them."""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

Event = dict[str, Any]


class EventType(IntEnum):
    """Numbers of the events of the Durable Task Framework."""

    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    EXECUTION_FAILED = 2  # of older frameworks; never written
    EXECUTION_TERMINATED = 3
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    SUB_ORCHESTRATION_INSTANCE_CREATED = 7
    SUB_ORCHESTRATION_INSTANCE_COMPLETED = 8
    SUB_ORCHESTRATION_INSTANCE_FAILED = 9
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_SENT = 14
    EVENT_RAISED = 15
    CONTINUE_AS_NEW = 16
    GENERIC_EVENT = 17
    HISTORY_STATE = 18
    EXECUTION_SUSPENDED = 19
    EXECUTION_RESUMED = 20


class Status(IntEnum):
    """Runtime status of an instance, with the numbers that ExecutionCompleted carries."""

    RUNNING = 0
    COMPLETED = 1
    CONTINUED_AS_NEW = 2
    FAILED = 3
    CANCELED = 4
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7

    @property
    def text(self) -> str:
        """Name as the management API writes it, such as `ContinuedAsNew`."""
        return "".join(part.capitalize() for part in self.name.split("_"))

    @property
    def is_final(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELED, Status.TERMINATED)


def utc_text(moment: datetime) -> str:
    """Moment with the seven decimals of .NET, such as `2026-01-01T00:00:00.1200000Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "0Z"


def parse_utc(text: str) -> datetime:
    """Read an ISO moment with any number of decimals; without a zone it is UTC. Raises ValueError."""
    text = text.strip()
    moment = datetime.fromisoformat(text[:-1] + "Z" if text[-1:] == "z" else text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def event(kind: EventType, now: datetime, event_id: int = -1, **members: Any) -> Event:
    """One event with the members that every event has."""
    return {
        "EventType": int(kind),
        "EventId": event_id,
        "IsPlayed": False,
        "Timestamp": utc_text(now),
        **members,
    }


def execution_started(
    instance_id: str,
    execution_id: str,
    name: str,
    input_text: str | None,
    now: datetime,
    *,
    parent: Event | None = None,
) -> Event:
    """First event of an execution; `input_text` is the JSON text as the client sent it.

    `parent` is the `ParentInstance` member of a sub-orchestration, as `parent_instance` makes it.
    """
    return event(
        EventType.EXECUTION_STARTED,
        now,
        OrchestrationInstance={"InstanceId": instance_id, "ExecutionId": execution_id},
        ParentInstance=parent,
        Name=name,
        Version="",
        Input=input_text,
        Tags=None,
        Correlation=None,
        ParentTraceContext=None,
        ScheduledStartTime=None,
        Generation=0,
    )


def parent_instance(instance_id: str, execution_id: str, task_id: int, name: str) -> Event:
    """The `ParentInstance` of a sub-orchestration: who started it, under which task id."""
    return {
        "Name": name,
        "OrchestrationInstance": {"InstanceId": instance_id, "ExecutionId": execution_id},
        "TaskScheduleId": task_id,
        "Version": "",
    }


def sub_orchestration_failed(task_id: int, reason: str | None, details: str | None, now: datetime) -> Event:
    """What an orchestration gets when one that it started failed or was terminated."""
    return event(
        EventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
        now,
        TaskScheduledId=task_id,
        Reason=reason,
        Details=details,
        FailureDetails=None,
    )
