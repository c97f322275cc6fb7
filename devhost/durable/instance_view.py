"""How an instance and its history look to a client of the management API."""

import json
from typing import Any

from devhost.durable.episode import json_token
from devhost.durable.history import Event, EventType, Status
from devhost.durable.records import Instance

_TEXT_NAMES = {kind: "".join(part.capitalize() for part in kind.name.split("_")) for kind in EventType}


def instance_view(instance: Instance, *, show_input: bool) -> dict[str, Any]:
    """The status body; times have second precision."""
    return {
        "name": instance.name,
        "instanceId": instance.instance_id,
        "runtimeStatus": instance.status.text,
        "input": json_token(instance.input_text) if show_input else None,
        "customStatus": json_token(instance.custom_status),
        "output": json_token(instance.output),
        "createdTime": instance.created[:19] + "Z",
        "lastUpdatedTime": instance.updated[:19] + "Z",
    }


def history_view(history: list[str], *, show_output: bool) -> list[dict[str, Any]]:
    """Events for `showHistory`: each result carries when and what was scheduled; the plumbing is left out."""
    events: list[Event] = [json.loads(text) for text in history]
    scheduled = {
        item["EventId"]: item
        for item in events
        if item["EventType"] in (EventType.TASK_SCHEDULED, EventType.TIMER_CREATED)
    }
    answered = {_origin_id(item) for item in events}
    shown: list[dict[str, Any]] = []
    for item in events:
        kind = EventType(item["EventType"])
        if kind in (EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED):
            continue
        if kind in (EventType.TASK_SCHEDULED, EventType.TIMER_CREATED) and item["EventId"] in answered:
            continue
        shown.append(_shown_event(kind, item, scheduled, show_output))
    return shown


def _shown_event(
    kind: EventType, item: Event, scheduled: dict[int, Event], show_output: bool
) -> dict[str, Any]:
    view: dict[str, Any] = {"EventType": _TEXT_NAMES[kind], "Timestamp": item["Timestamp"]}
    origin = scheduled.get(_origin_id(item))
    if origin is not None:
        view["ScheduledTime"] = origin["Timestamp"]
        if "Name" in origin:
            view["FunctionName"] = origin["Name"]
    if kind in (EventType.EXECUTION_STARTED, EventType.TASK_SCHEDULED):
        view["FunctionName"] = item["Name"]
    for member in ("Name", "FireAt", "Reason", "Details"):
        if item.get(member) is not None and not (member == "Name" and "FunctionName" in view):
            view[member] = item[member]
    if kind == EventType.EXECUTION_COMPLETED:
        view["OrchestrationStatus"] = Status(item["OrchestrationStatus"]).text
    if show_output and item.get("Result") is not None:
        view["Result"] = json_token(item["Result"])
    if show_output and kind in (
        EventType.EVENT_RAISED,
        EventType.EXECUTION_STARTED,
        EventType.EXECUTION_TERMINATED,
    ):
        view["Input"] = json_token(item.get("Input"))
    return view


def _origin_id(item: Event) -> int:
    """Id of the task or timer that an event answers; -1 for none."""
    for member in ("TaskScheduledId", "TimerId"):
        if member in item:
            return int(item[member])
    return -1
