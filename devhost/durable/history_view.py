"""How the history of an instance looks to a client of the management API (`showHistory`)."""

import json
from collections.abc import Sequence
from typing import Any

from devhost.durable.history import Event, EventType, Status
from devhost.durable.stored_json import json_token

_TEXT_NAMES = {kind: "".join(part.capitalize() for part in kind.name.split("_")) for kind in EventType}
_PLUMBING = (EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED)
_SCHEDULING = (EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_INSTANCE_CREATED)
_SUCCESSES = (
    EventType.TASK_COMPLETED,
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED,
    EventType.EXECUTION_COMPLETED,
)
_LEFT_OUT = {
    EventType.EXECUTION_STARTED: ("Name", "OrchestrationInstance", "ParentInstance", "Version", "Tags"),
    EventType.TASK_SCHEDULED: ("Version",),
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED: ("Version",),
    EventType.TIMER_FIRED: ("TimerId",),
}


def history_view(history: Sequence[str], *, show_input: bool, show_output: bool) -> list[dict[str, Any]]:
    """Events as the real host shows them.

    A result carries when and what was scheduled, in place of the event that scheduled it; the plumbing of
    steps is left out. A `TimerCreated` stays beside its `TimerFired`.
    """
    events: list[Event] = [json.loads(text) for text in history]
    scheduled = {item["EventId"]: item for item in events if item["EventType"] in _SCHEDULING}
    answered = {item["TaskScheduledId"] for item in events if "TaskScheduledId" in item}
    return [
        _shown(item, scheduled, show_input=show_input, show_output=show_output)
        for item in events
        if item["EventType"] not in _PLUMBING
        and not (item["EventType"] in _SCHEDULING and item["EventId"] in answered)
    ]


def _shown(
    item: Event, scheduled: dict[int, Event], *, show_input: bool, show_output: bool
) -> dict[str, Any]:
    kind = EventType(item["EventType"])
    left_out = ("EventId", "IsPlayed", "TaskScheduledId", *_LEFT_OUT.get(kind, ()))
    view: dict[str, Any] = {name: value for name, value in item.items() if name not in left_out}
    view["EventType"] = _TEXT_NAMES[kind]
    origin = scheduled.get(item.get("TaskScheduledId", -1))
    if origin is not None:
        view |= {
            "ScheduledTime": origin["Timestamp"],
            "FunctionName": origin["Name"],
            "Input": origin["Input"],
        }
    if kind == EventType.EXECUTION_STARTED:
        view["FunctionName"] = item["Name"]
    if kind == EventType.EXECUTION_COMPLETED:
        view["OrchestrationStatus"] = Status(item["OrchestrationStatus"]).text
    if not show_input:
        view.pop("Input", None)
    if kind in _SUCCESSES:
        result = view.pop("Result", None)
        if show_output:
            view["Result"] = json_token(result)
    return view
