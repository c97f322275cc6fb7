"""Rewinding a failed orchestration: what failed is taken out of its history, and the rest is replayed.

As on Azure Storage each failed task with its scheduling, each failed sub-orchestration and the failed end
become events that say nothing. Sub-orchestrations that failed are rewound first; they answer again when they
end.
"""

from collections.abc import Iterator
from datetime import datetime

import msgspec

from devhost.durable.history import Event, EventType, Status, event, sub_orchestration_failed, utc_text
from devhost.durable.hub_file import event_text
from devhost.durable.instance_store import InstanceStore
from devhost.durable.records import Committed, Instance

_ANSWERS = (EventType.TASK_COMPLETED, EventType.TASK_FAILED)
_CHILD_ANSWERS = (
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED,
)
_GONE = "The instance is gone."


class NotFailed(Exception):
    """Only a failed instance can be rewound."""


class RewindStore(InstanceStore):
    """Rewinds instances in one transaction."""

    def rewind(self, instance_id: str, reason: str | None, now: datetime) -> Committed:
        """Rewind an instance with the sub-orchestrations that failed it. Raises NotFailed."""
        with self._transaction():
            instance = self.instance(instance_id)
            if instance is None or instance.status is not Status.FAILED:
                raise NotFailed(instance_id)
            run = _Rewinding(self, reason, now)
            run.rewind(instance)
        return Committed(run.activities, run.woken, has_timers=True)

    def replace_event(self, instance_id: str, position: int, item: Event) -> None:
        """Put another event into a history; within a transaction."""
        self._db.execute(
            "UPDATE history SET event = ? WHERE instance_id = ? AND position = ?",
            (event_text(item), instance_id, position),
        )

    def run_again(self, instance_id: str, now: datetime) -> None:
        """Have an ended instance run; within a transaction."""
        self._db.execute(
            "UPDATE instances SET status = ?, output = NULL, updated = ? WHERE instance_id = ?",
            (int(Status.RUNNING), utc_text(now), instance_id),
        )

    def add_message(self, instance_id: str, item: Event) -> None:
        """Store a message for whatever execution runs; within a transaction."""
        self._add_message(instance_id, None, item)

    def arm_timer(self, instance: Instance, created: Event) -> None:
        """Have a timer fire that was forgotten when the instance ended; within a transaction."""
        self._db.execute(
            "INSERT OR IGNORE INTO timers (instance_id, execution_id, task_id, fire_at) VALUES (?,?,?,?)",
            (instance.instance_id, instance.execution_id, created["EventId"], created["FireAt"]),
        )

    def require_activity(self, instance: Instance, scheduled: Event) -> int | None:
        """Schedule an activity whose result was dropped when the instance ended; None when it still runs."""
        ids = (instance.instance_id, instance.execution_id, scheduled["EventId"])
        found = self._db.execute(
            "SELECT 1 FROM activities WHERE instance_id = ? AND execution_id = ? AND task_id = ?", ids
        )
        if found.fetchone() is not None:
            return None
        return self._add_activity(*ids, scheduled["Name"], scheduled["Input"])


class _Rewinding:
    """One rewind: `woken` are the instances that have a message now."""

    def __init__(self, hub: RewindStore, reason: str | None, now: datetime) -> None:
        self._hub, self._reason, self._now = hub, reason, now
        self.woken: list[str] = []
        self.activities: list[int] = []

    def rewind(self, instance: Instance) -> None:
        hub, events = self._hub, self._history(instance)
        hub.run_again(instance.instance_id, self._now)  # first, so that no circle of children comes back here
        rewound = {item["TaskScheduledId"] for item in events if item["EventType"] == EventType.TASK_FAILED}
        has_failed_children = False
        for position, item in enumerate(events):
            if item["EventType"] == EventType.SUB_ORCHESTRATION_INSTANCE_FAILED:
                child = self._child(instance, item["TaskScheduledId"], events)
                if child is None or child.status is not Status.FAILED:
                    continue  # it is gone, or ended otherwise since: its failure stands
                has_failed_children = True
                self.rewind(child)
            elif not _is_rewound(item, rewound):
                continue
            hub.replace_event(instance.instance_id, position, _emptied(item))
        self._take_up(instance, events, rewound)
        if not has_failed_children:
            hub.add_message(
                instance.instance_id, event(EventType.GENERIC_EVENT, self._now, Data=self._reason)
            )
            self.woken.append(instance.instance_id)

    def _history(self, instance: Instance) -> list[Event]:
        return [msgspec.json.decode(text) for text in self._hub.history(instance.instance_id)]

    def _child(self, instance: Instance, task_id: int, events: list[Event]) -> Instance | None:
        """The sub-orchestration of a task; None when it is gone, or its id has gone to another."""
        kind = EventType.SUB_ORCHESTRATION_INSTANCE_CREATED
        for created in (one for one in events if (one["EventType"], one["EventId"]) == (kind, task_id)):
            child = self._hub.instance(created["InstanceId"])
            if child is None or child.parent is None:
                return None
            parent = (child.parent.instance_id, child.parent.execution_id, child.parent.task_id)
            is_ours = parent == (instance.instance_id, instance.execution_id, task_id)
            return child if is_ours else None
        return None

    def _take_up(self, instance: Instance, events: list[Event], rewound: set[int]) -> None:
        """What was still open when the instance failed goes on; a task that is rewound is decided anew."""
        answered = {one["TaskScheduledId"] for one in events if one["EventType"] in _ANSWERS} | rewound
        for scheduled in _open(events, EventType.TASK_SCHEDULED, answered):
            added = self._hub.require_activity(instance, scheduled)
            self.activities += [] if added is None else [added]
        fired = {one["TimerId"] for one in events if one["EventType"] == EventType.TIMER_FIRED}
        for created in _open(events, EventType.TIMER_CREATED, fired):
            self._hub.arm_timer(instance, created)
        ended = {one["TaskScheduledId"] for one in events if one["EventType"] in _CHILD_ANSWERS}
        for created in _open(events, EventType.SUB_ORCHESTRATION_INSTANCE_CREATED, ended):
            self._ask_again(instance, created["EventId"], events)

    def _ask_again(self, instance: Instance, task_id: int, events: list[Event]) -> None:
        """Have a sub-orchestration answer whose answer was dropped, for the instance had ended then."""
        child = self._child(instance, task_id, events)
        if child is None:
            answer = sub_orchestration_failed(task_id, _GONE, None, self._now)
        elif child.status is Status.FAILED:
            self.rewind(child)
            return
        elif child.status is Status.COMPLETED:
            kind = EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED
            answer = event(kind, self._now, TaskScheduledId=task_id, Result=child.output)
        elif child.status.is_final:
            answer = sub_orchestration_failed(task_id, child.output, None, self._now)
        else:
            return  # it answers when it ends
        self._hub.add_message(instance.instance_id, answer)


def _open(events: list[Event], kind: EventType, answered: set[int]) -> Iterator[Event]:
    return (one for one in events if one["EventType"] == kind and one["EventId"] not in answered)


def _is_rewound(item: Event, failed_tasks: set[int]) -> bool:
    match item["EventType"]:
        case EventType.TASK_FAILED:
            return True
        case EventType.TASK_SCHEDULED:
            return item["EventId"] in failed_tasks
        case EventType.EXECUTION_COMPLETED:
            return bool(item["OrchestrationStatus"] == Status.FAILED)
        case _:
            return False


def _emptied(item: Event) -> Event:
    kind = "".join(part.capitalize() for part in EventType(item["EventType"]).name.split("_"))
    return {
        "EventType": int(EventType.GENERIC_EVENT),
        "EventId": item["EventId"],
        "IsPlayed": item["IsPlayed"],
        "Timestamp": item["Timestamp"],
        "Data": None,
        "Reason": f"Rewound: {kind}",
    }
