"""The history of an instance as a timeline: what took a while as bars, what happened at once as marks."""

import json
from collections.abc import Sequence
from typing import Any

from devhost.durable.history import Event, EventType, Status

_LONGEST_TEXT = 4000
_BARS = {
    EventType.TASK_SCHEDULED: "activity",
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED: "sub-orchestration",
    EventType.TIMER_CREATED: "timer",
}
_COMPLETIONS = (
    EventType.TASK_COMPLETED,
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
    EventType.TIMER_FIRED,
)
_FAILURES = (EventType.TASK_FAILED, EventType.SUB_ORCHESTRATION_INSTANCE_FAILED)
_MARKS = {
    EventType.EXECUTION_STARTED: "started",
    EventType.EXECUTION_COMPLETED: "ended",
    EventType.EXECUTION_TERMINATED: "terminated",
    EventType.EXECUTION_SUSPENDED: "suspended",
    EventType.EXECUTION_RESUMED: "resumed",
    EventType.EVENT_RAISED: "event",
    EventType.EVENT_SENT: "sent",
    EventType.CONTINUE_AS_NEW: "continued as new",
    EventType.GENERIC_EVENT: "rewound",
}

Row = dict[str, Any]


def timeline(history: Sequence[str]) -> list[Row]:
    """Rows in the order in which they began.

    A bar has `kind, name, start, end, state` (`open`, `completed` or `failed`) and a `reason` when it failed;
    a mark has `kind, name, start, state`. `text` is what was given, raised or returned.
    """
    rows: list[Row] = []
    open_bars: dict[int, Row] = {}
    for item in map(json.loads, history):
        kind = EventType(item["EventType"])
        if kind in _BARS:
            row = _bar(kind, item)
            open_bars[item["EventId"]] = row
            rows.append(row)
        elif kind in _COMPLETIONS or kind in _FAILURES:
            origin = open_bars.pop(item.get("TaskScheduledId", item.get("TimerId", -1)), None)
            if origin is not None:
                _close(origin, item, failed=kind in _FAILURES)
        elif kind in _MARKS:
            rows.append(_mark(kind, item))
    return rows


def _bar(kind: EventType, item: Event) -> Row:
    return {
        "kind": _BARS[kind],
        "name": item.get("Name") or "",
        "start": item["Timestamp"],
        "end": None,
        "state": "open",
        "instanceId": item.get("InstanceId"),
        "fireAt": item.get("FireAt"),
        "text": _short(_argument(item)),
    }


def _argument(item: Event) -> Any:
    """What was given; an activity's stands in a JSON array of one."""
    text = item.get("Input")
    if item["EventType"] != EventType.TASK_SCHEDULED or not isinstance(text, str):
        return text
    try:
        values = json.loads(text)
    except ValueError:
        return text
    return values[0] if isinstance(values, list) and len(values) == 1 else text


def _close(row: Row, item: Event, *, failed: bool) -> None:
    row["end"] = item["Timestamp"]
    row["state"] = "failed" if failed else "completed"
    row["result"] = _short(item.get("Result"))
    if failed:
        row["reason"] = _short(item.get("Reason"))
        row["details"] = _short(item.get("Details"))


def _mark(kind: EventType, item: Event) -> Row:
    state = "done"
    if kind == EventType.EXECUTION_COMPLETED:
        status = Status(item["OrchestrationStatus"])
        state = "failed" if status == Status.FAILED else "done"
        name = status.text
    elif kind == EventType.EXECUTION_TERMINATED:
        state, name = "failed", item.get("Input") or ""
    else:
        name = item.get("Name") or item.get("Reason") or ""
    text = item.get("Result") if kind == EventType.EXECUTION_COMPLETED else item.get("Input")
    return {
        "kind": _MARKS[kind],
        "name": name,
        "start": item["Timestamp"],
        "end": item["Timestamp"],
        "state": state,
        "instanceId": item.get("InstanceId"),
        "text": _short(text),
    }


def _short(text: Any) -> str | None:
    """A stored text, cut where it is too long to be shown."""
    if text is None:
        return None
    shown = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]} … ({len(shown)} characters)"
