"""B5.2, the events of a history: their members, their ids, their moments."""

import re
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.history import EventType, Status
from tests.devhost.orchestrations import SDK_WARNINGS, Context, Simulate, Steps

pytestmark = SDK_WARNINGS

MEMBERS = {
    EventType.ORCHESTRATOR_STARTED: set(),
    EventType.ORCHESTRATOR_COMPLETED: set(),
    EventType.EXECUTION_STARTED: {
        "OrchestrationInstance",
        "ParentInstance",
        "Name",
        "Version",
        "Input",
        "Tags",
        "Correlation",
        "ParentTraceContext",
        "ScheduledStartTime",
        "Generation",
    },
    EventType.EXECUTION_COMPLETED: {"OrchestrationStatus", "Result", "FailureDetails"},
    EventType.EXECUTION_TERMINATED: {"Input"},
    EventType.TASK_SCHEDULED: {"Name", "Version", "Input", "Tags"},
    EventType.TASK_COMPLETED: {"TaskScheduledId", "Result"},
    EventType.TASK_FAILED: {"TaskScheduledId", "Reason", "Details", "FailureDetails"},
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED: {"Name", "Version", "InstanceId", "Input"},
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED: {"TaskScheduledId", "Result"},
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED: {"TaskScheduledId", "Reason", "Details", "FailureDetails"},
    EventType.TIMER_CREATED: {"FireAt"},
    EventType.TIMER_FIRED: {"TimerId", "FireAt"},
    EventType.EVENT_SENT: {"InstanceId", "Name", "Input"},
    EventType.EVENT_RAISED: {"Name", "Input"},
    EventType.EXECUTION_SUSPENDED: {"Reason"},
    EventType.EXECUTION_RESUMED: {"Reason"},
}
COMMON = {"EventType", "EventId", "IsPlayed", "Timestamp"}
WITH_ID = {  # the others have -1
    EventType.TASK_SCHEDULED,
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
    EventType.TIMER_CREATED,
    EventType.EVENT_SENT,
    EventType.EXECUTION_COMPLETED,
}


def everything(context: Context) -> Steps:
    options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=2)
    yield context.call_activity_with_retry("flaky", options, {"key": "k", "failures": 1})
    yield context.call_sub_orchestrator("fine")
    context.signal_entity(df.EntityId("Counter", "k"), "add", 1)
    try:
        yield context.call_sub_orchestrator("broken")
    except Exception:  # noqa: BLE001 (the SDK raises nothing finer)
        yield context.wait_for_external_event("go")


def fine(context: Context) -> Any:
    return 1


def broken(context: Context) -> Any:
    raise ValueError


@pytest.fixture
async def history(simulate: Simulate) -> list[dict[str, Any]]:
    simulation = simulate(everything, fine, broken)
    simulation.start("everything")
    await simulation.run()
    simulation.suspend("a pause")
    simulation.resume("on with it")
    simulation.raise_event("go", {"n": 1})
    await simulation.run()
    assert simulation.instance().status is Status.COMPLETED
    simulation.start("everything", instance_id="terminated")
    simulation.terminate("enough", instance_id="terminated")
    await simulation.run()
    return simulation.history() + simulation.history("terminated")


async def test_each_event_has_its_members_also_where_they_are_null(history: list[dict[str, Any]]) -> None:
    assert {item["EventType"] for item in history} == set(MEMBERS)
    for item in history:
        assert set(item) == COMMON | MEMBERS[EventType(item["EventType"])], item


async def test_events_that_something_was_decided_by_have_its_number(history: list[dict[str, Any]]) -> None:
    for item in history:
        assert (item["EventId"] >= 0) == (item["EventType"] in WITH_ID), item


async def test_moments_have_seven_decimals_in_utc(history: list[dict[str, Any]]) -> None:
    moments = [item[key] for item in history for key in ("Timestamp", "FireAt") if key in item]
    assert all(re.fullmatch(r"2026-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", moment) for moment in moments)
    stamps = [item["Timestamp"] for item in history if item["EventType"] == EventType.ORCHESTRATOR_STARTED]
    assert stamps == sorted(stamps)


async def test_the_version_is_empty_and_there(history: list[dict[str, Any]]) -> None:
    assert {item["Version"] for item in history if "Version" in item} == {""}


async def test_every_step_is_framed(history: list[dict[str, Any]]) -> None:
    kinds = [item["EventType"] for item in history]
    assert kinds[0] == EventType.ORCHESTRATOR_STARTED
    assert kinds[1] == EventType.EXECUTION_STARTED
    assert kinds[-1] == EventType.ORCHESTRATOR_COMPLETED
    frames = [kind for kind in kinds if kind in (12, 13)]
    assert frames == [12, 13] * (len(frames) // 2)


async def test_an_end_carries_the_number_of_its_status(history: list[dict[str, Any]]) -> None:
    ends = [item for item in history if item["EventType"] == EventType.EXECUTION_COMPLETED]
    assert [(item["OrchestrationStatus"], item["Result"]) for item in ends] == [(1, None), (5, "enough")]


async def test_a_signal_is_an_event_sent_to_the_entity_in_lower_case(history: list[dict[str, Any]]) -> None:
    (sent,) = [item for item in history if item["EventType"] == EventType.EVENT_SENT]
    assert (sent["InstanceId"], sent["Name"]) == ("@counter@k", "op")
