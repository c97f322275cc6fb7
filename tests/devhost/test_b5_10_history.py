"""B5.10, `showHistory`: how the events of an instance are shown."""

import json
from typing import Any

from devhost.durable.history import EventType, Status, event
from devhost.durable.history_view import history_view
from tests.devhost.host_process import DevhostProcess, until
from tests.devhost.management_client import NOW

MOMENT = "2026-01-01T00:00:00.0000000Z"


def shown(*events: dict[str, Any], inputs: bool = True, outputs: bool = True) -> list[dict[str, Any]]:
    return history_view([json.dumps(item) for item in events], show_input=inputs, show_output=outputs)


def test_a_result_carries_what_was_scheduled_and_when() -> None:
    scheduled = event(EventType.TASK_SCHEDULED, NOW, 0, Name="add", Version="", Input='["1"]', Tags=None)
    completed = event(EventType.TASK_COMPLETED, NOW, TaskScheduledId=0, Result='{"a": 1}')
    common = {
        "EventType": "TaskCompleted",
        "Timestamp": MOMENT,
        "ScheduledTime": MOMENT,
        "FunctionName": "add",
    }
    assert shown(scheduled, completed) == [{**common, "Input": '["1"]', "Result": {"a": 1}}]
    assert shown(scheduled, completed, inputs=False, outputs=False) == [common]


def test_what_has_no_result_yet_stays_as_it_was_scheduled() -> None:
    scheduled = event(EventType.TASK_SCHEDULED, NOW, 0, Name="add", Version="", Input='["1"]', Tags=None)
    view = {"EventType": "TaskScheduled", "Timestamp": MOMENT, "Name": "add", "Input": '["1"]', "Tags": None}
    assert shown(scheduled) == [view]


def test_a_failure_keeps_its_reason_and_its_details() -> None:
    scheduled = event(EventType.TASK_SCHEDULED, NOW, 3, Name="add", Version="", Input=None, Tags=None)
    failed = event(
        EventType.TASK_FAILED, NOW, TaskScheduledId=3, Reason="why", Details="{}", FailureDetails=None
    )
    [view] = shown(scheduled, failed, outputs=False)
    assert (view["EventType"], view["FunctionName"], view["Reason"], view["Details"]) == (
        "TaskFailed",
        "add",
        "why",
        "{}",
    )
    assert "TaskScheduledId" not in view


def test_a_child_is_shown_like_an_activity() -> None:
    created = event(
        EventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
        NOW,
        2,
        Name="child",
        Version="",
        InstanceId="c",
        Input="1",
    )
    ended = event(EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED, NOW, TaskScheduledId=2, Result="plain")
    [view] = shown(created, ended)
    assert (view["EventType"], view["FunctionName"], view["Result"]) == (
        "SubOrchestrationInstanceCompleted",
        "child",
        "plain",
    )
    [open_one] = shown(created)
    assert (open_one["InstanceId"], "Version" in open_one) == ("c", False)


def test_a_timer_is_shown_when_it_is_made_and_when_it_fires() -> None:
    made = event(EventType.TIMER_CREATED, NOW, 1, FireAt=MOMENT)
    fired = event(EventType.TIMER_FIRED, NOW, TimerId=1, FireAt=MOMENT)
    assert shown(made, fired) == [
        {"EventType": "TimerCreated", "Timestamp": MOMENT, "FireAt": MOMENT},
        {"EventType": "TimerFired", "Timestamp": MOMENT, "FireAt": MOMENT},
    ]


def test_the_start_and_the_end_of_an_execution() -> None:
    started = event(
        EventType.EXECUTION_STARTED,
        NOW,
        OrchestrationInstance={},
        ParentInstance=None,
        Name="o",
        Version="",
        Input="1",
        Tags=None,
        Generation=0,
    )
    ended = event(
        EventType.EXECUTION_COMPLETED, NOW, 0, OrchestrationStatus=int(Status.COMPLETED), Result="[1]"
    )
    common = {"Timestamp": MOMENT}
    assert shown(started, ended) == [
        {**common, "EventType": "ExecutionStarted", "Input": "1", "Generation": 0, "FunctionName": "o"},
        {**common, "EventType": "ExecutionCompleted", "OrchestrationStatus": "Completed", "Result": [1]},
    ]


def test_events_of_other_kinds_are_shown_with_their_members() -> None:
    sent = event(EventType.EVENT_SENT, NOW, 4, InstanceId="@counter@k", Name="op", Input="{}")
    raised = event(EventType.EVENT_RAISED, NOW, Name="go", Input="true")
    suspended = event(EventType.EXECUTION_SUSPENDED, NOW, Reason="a while")
    resumed = event(EventType.EXECUTION_RESUMED, NOW, Reason="enough")
    terminated = event(EventType.EXECUTION_TERMINATED, NOW, Input="over")
    rewound = event(EventType.GENERIC_EVENT, NOW, Data="x", Reason="Rewound: TaskFailed")
    views = shown(sent, raised, suspended, resumed, terminated, rewound)
    assert [view["EventType"] for view in views] == [
        "EventSent",
        "EventRaised",
        "ExecutionSuspended",
        "ExecutionResumed",
        "ExecutionTerminated",
        "GenericEvent",
    ]
    assert (views[0]["InstanceId"], views[0]["Name"]) == ("@counter@k", "op")
    assert [view.get("Input") for view in views] == ["{}", "true", None, None, "over", None]
    assert [view.get("Reason") for view in views] == [
        None,
        None,
        "a while",
        "enough",
        None,
        "Rewound: TaskFailed",
    ]
    assert all("Input" not in view for view in shown(sent, raised, terminated, inputs=False))


def test_the_plumbing_of_steps_is_left_out() -> None:
    steps = [
        event(EventType.ORCHESTRATOR_STARTED, NOW),
        event(EventType.ORCHESTRATOR_COMPLETED, NOW),
    ]
    assert shown(*steps) == []


def test_the_history_of_a_run(managed: DevhostProcess) -> None:
    managed.start("of_all_kinds", "history")
    until(lambda: managed.durable("GET", "entities/counter/history").body == b"3", why="the entity is called")
    managed.durable("POST", "instances/history/raiseEvent/go", "1")
    managed.ended("history")
    query = "?showHistory=true&showHistoryOutput=true"
    events = managed.status("history", query)["historyEvents"]
    assert [item["EventType"] for item in events] == [
        "ExecutionStarted",
        "TaskCompleted",
        "TaskFailed",
        "TimerCreated",
        "TimerFired",
        "SubOrchestrationInstanceCompleted",
        "EventSent",
        "EventSent",
        "EventRaised",
        "EventRaised",
        "ExecutionCompleted",
    ]
    _, done, failed, _, _, child, _, call, answer, go, end = events
    assert (done["FunctionName"], done["Input"], done["Result"]) == ("double", '["4"]', 8)
    assert done["ScheduledTime"] <= done["Timestamp"]
    assert "failed:  ValueError: no x" in failed["Reason"]
    assert (child["FunctionName"], child["Result"]) == ("echo", {"a": 1})
    assert (call["InstanceId"], call["Name"]) == ("@counter@history", "op")
    assert answer["Name"] == json.loads(call["Input"])["id"]
    assert (go["Name"], go["Input"]) == ("go", "1")
    assert (end["OrchestrationStatus"], end["Result"]) == ("Completed", "done")
    without = managed.status("history", "?showHistory=true&showInput=false")["historyEvents"]
    assert not any("Input" in item or "Result" in item for item in without)
