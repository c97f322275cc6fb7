"""B5.6, sub-orchestrations: their ids, their parents, their failures and retries."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.episode import OrchestratorMissing
from devhost.durable.history import EventType, Status, execution_started
from tests.devhost.orchestrations import SDK_WARNINGS, TRIES, Context, Simulate, Steps
from tests.devhost.simulation import START

pytestmark = SDK_WARNINGS

CREATED = EventType.SUB_ORCHESTRATION_INSTANCE_CREATED
COMPLETED = EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED
FAILED = EventType.SUB_ORCHESTRATION_INSTANCE_FAILED


def child(context: Context) -> Steps:
    number = yield context.call_activity("double", context.get_input())
    return {"parent": context.parent_instance_id, "id": context.instance_id, "number": number}


def failing(context: Context) -> Steps:
    yield context.call_activity("flaky", {"key": "child", "failures": 9})


def events_of(simulation: Any, kind: EventType, instance_id: str = "i") -> list[dict[str, Any]]:
    return [item for item in simulation.history(instance_id) if item["EventType"] == kind]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_child_gets_its_input_and_hands_its_result_to_its_parent(
    simulate: Simulate, restarts: bool
) -> None:
    def parent(context: Context) -> Steps:
        yield context.call_activity("double", 1)
        return (yield context.call_sub_orchestrator("child", context.get_input()))

    simulation = simulate(parent, child, restarts=restarts)
    simulation.start("parent", 21)
    await simulation.run()
    assert json.loads(simulation.instance().output or "") == {"parent": "i", "id": "i-1:1", "number": 42}
    (created,), (completed,) = events_of(simulation, CREATED), events_of(simulation, COMPLETED)
    assert {key: created[key] for key in ("EventId", "Name", "Version", "InstanceId", "Input")} == {
        "EventId": 1,
        "Name": "child",
        "Version": "",
        "InstanceId": "i-1:1",
        "Input": '"21"',
    }
    assert completed["TaskScheduledId"] == 1
    assert completed["Result"] == simulation.instance("i-1:1").output


async def test_a_childs_first_event_names_its_parent(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        yield context.call_sub_orchestrator("child", 1, "fixed")

    simulation = simulate(parent, child)
    simulation.start("parent")
    await simulation.run()
    (started,) = events_of(simulation, EventType.EXECUTION_STARTED, "fixed")
    assert started["ParentInstance"] == {
        "Name": "parent",
        "OrchestrationInstance": {"InstanceId": "i", "ExecutionId": "i-1"},
        "TaskScheduleId": 0,
        "Version": "",
    }
    assert events_of(simulation, EventType.EXECUTION_STARTED)[0]["ParentInstance"] is None


@pytest.mark.parametrize(
    ("given", "taken"), [("mine", "mine"), ("", "i-1:0"), ("  ", "i-1:0"), (None, "i-1:0")]
)
async def test_a_blank_id_counts_as_none(simulate: Simulate, given: str | None, taken: str) -> None:
    def parent(context: Context) -> Steps:
        return (yield context.call_sub_orchestrator("child", 1, given))["id"]

    simulation = simulate(parent, child)
    simulation.start("parent")
    await simulation.run()
    assert simulation.instance().output == json.dumps(taken)


async def test_many_children_run_beside_one_another(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        children = [context.call_sub_orchestrator("child", number) for number in range(5)]
        return [result["number"] for result in (yield context.task_all(children))]

    simulation = simulate(parent, child)
    simulation.start("parent")
    await simulation.run()
    assert simulation.instance().output == "[0,2,4,6,8]"


async def test_a_childs_failure_reaches_its_parent_with_the_childs_words(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        try:
            yield context.call_sub_orchestrator("failing")
        except Exception as error:  # noqa: BLE001 (the SDK raises nothing finer)
            return str(error)

    simulation = simulate(parent, failing)
    simulation.start("parent")
    await simulation.run()
    (failed,) = events_of(simulation, FAILED)
    assert failed["Reason"] == simulation.instance("i-1:0").output
    assert failed["Reason"].startswith(
        "Orchestrator function 'failing' failed: Activity function 'flaky' failed:  ValueError: try 1"
    )
    assert failed["Details"].startswith("Message: Activity function 'flaky' failed:  ValueError: try 1")
    told = json.loads(simulation.instance().output or "")
    assert told == f"{failed['Reason']} \n {failed['Details']}"


@pytest.mark.parametrize(("given", "taken"), [("fixed", ["fixed", "fixed"]), (None, ["i-1:0", "i-1:2"])])
async def test_a_retry_takes_the_ids_of_the_framework_and_a_fixed_id_again(
    simulate: Simulate, given: str | None, taken: list[str]
) -> None:
    def parent(context: Context) -> Steps:
        options = df.RetryOptions(first_retry_interval_in_milliseconds=1500, max_number_of_attempts=2)
        yield context.call_sub_orchestrator_with_retry("failing", options, None, given)

    simulation = simulate(parent, failing)
    simulation.start("parent")
    await simulation.run()
    assert simulation.kinds() == [12, 0, 7, 13, 12, 9, 10, 13, 12, 11, 7, 13, 12, 9, 10, 13, 12, 11, 1, 13]
    assert [item["EventId"] for item in simulation.history() if item["EventId"] >= 0] == [0, 1, 2, 3, 4]
    assert [item["InstanceId"] for item in events_of(simulation, CREATED)] == taken
    assert simulation.instance().status is Status.FAILED
    assert TRIES == {"child": 2}
    assert timedelta(seconds=1.5) < simulation.now - START < timedelta(seconds=2)


@pytest.mark.parametrize(("taken", "status"), [("other", "Running"), ("i", "Running")])
async def test_an_id_that_runs_fails_the_child_for_its_parent(
    simulate: Simulate, taken: str, status: str
) -> None:
    def waits(context: Context) -> Steps:
        yield context.wait_for_external_event("never")

    def parent(context: Context) -> Steps:
        yield context.call_activity("double", 1)
        try:
            yield context.call_sub_orchestrator("child", 1, taken)
        except Exception as error:  # noqa: BLE001 (the SDK raises nothing finer)
            return str(error)

    simulation = simulate(parent, child, waits)
    simulation.start("waits", instance_id="other")
    simulation.start("parent")
    await simulation.run()
    assert f"An Orchestration instance with the status {status} already exists." in str(
        simulation.instance().output
    )
    assert simulation.instance("other").status is Status.RUNNING


async def test_an_id_that_has_ended_is_taken_again(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        first = yield context.call_sub_orchestrator("child", 1, "fixed")
        second = yield context.call_sub_orchestrator("child", 2, "fixed")
        return [first["number"], second["number"]]

    simulation = simulate(parent, child)
    simulation.start("parent")
    await simulation.run()
    assert simulation.instance().output == "[2,4]"


@pytest.mark.derived
@pytest.mark.parametrize(("name", "given"), [("not_there", None), ("child", "@odd")])
async def test_what_the_real_host_would_wait_for_for_ever_fails(
    simulate: Simulate, name: str, given: str | None
) -> None:
    def parent(context: Context) -> Steps:
        yield context.call_sub_orchestrator(name, 1, given)

    simulation = simulate(parent, child)
    simulation.start("parent")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    says = "must not begin with @" if given else "known orchestrator functions: 'parent', 'child'."
    assert says in str(simulation.instance().output)


async def test_a_child_that_continues_as_new_keeps_its_parent(simulate: Simulate) -> None:
    def rounds(context: Context) -> Steps:
        number = yield context.call_activity("double", context.get_input())
        if number < 8:
            context.continue_as_new(number)
            return None
        return [context.parent_instance_id, number]

    def parent(context: Context) -> Steps:
        return (yield context.call_sub_orchestrator("rounds", 1, "child"))

    simulation = simulate(parent, rounds)
    simulation.start("parent")
    await simulation.run()
    assert simulation.instance().output == '["i",8]'
    (started,) = events_of(simulation, EventType.EXECUTION_STARTED, "child")
    assert started["ParentInstance"]["OrchestrationInstance"]["InstanceId"] == "i"


async def test_a_child_that_is_terminated_fails_its_parents_call_with_the_reason(simulate: Simulate) -> None:
    def waits(context: Context) -> Steps:
        yield context.wait_for_external_event("never")

    def parent(context: Context) -> Steps:
        yield context.call_sub_orchestrator("waits", None, "child")

    simulation = simulate(parent, waits)
    simulation.start("parent")
    await simulation.run()
    simulation.terminate("no longer needed", instance_id="child")
    await simulation.run()
    (failed,) = events_of(simulation, FAILED)
    assert (failed["Reason"], failed["Details"]) == ("no longer needed", None)
    assert simulation.instance().status is Status.FAILED


async def test_a_childs_result_for_an_earlier_execution_of_its_parent_is_dropped(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        if context.get_input() == "again":
            return (yield context.wait_for_external_event("go"))
        return (yield context.call_sub_orchestrator("child", 1, "child"))

    simulation = simulate(parent, child)
    simulation.start("parent", "first")
    await simulation.step()
    simulation.terminate("enough")
    while simulation.instance().status is not Status.TERMINATED:
        await simulation._run_instance("i")
    started = execution_started("i", "i-2", "parent", json.dumps('"again"'), simulation.now)
    simulation.hub.create_instance("i", "i-2", "parent", started, simulation.now)
    await simulation.run()
    assert simulation.instance("child").status is Status.COMPLETED
    assert events_of(simulation, COMPLETED) == []
    simulation.raise_event("go", 1)
    await simulation.run()
    assert simulation.instance().output == "1"


async def test_a_parent_runs_until_a_child_that_lost_has_ended(simulate: Simulate) -> None:
    def waits(context: Context) -> Steps:
        yield context.wait_for_external_event("end")

    def parent(context: Context) -> Steps:
        call = context.call_activity("double", 1)
        yield context.task_any([context.call_sub_orchestrator("waits", None, "child"), call])
        return "first"

    simulation = simulate(parent, waits)
    simulation.start("parent")
    await simulation.run()
    assert simulation.instance().status is Status.RUNNING
    simulation.raise_event("end", None, instance_id="child")
    await simulation.run()
    assert simulation.instance().output == '"first"'


async def test_a_child_whose_function_is_away_waits_in_the_hub(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        return (yield context.call_sub_orchestrator("child", 1))["number"]

    simulation = simulate(parent, child)
    complete = simulation._functions
    without = {name: one for name, one in complete.orchestrators.items() if name != "child"}
    away = frozenset({"child"})
    simulation._functions = replace(complete, orchestrators=without, absent_orchestrators=away)
    simulation.start("parent")
    await simulation._run_instance("i")
    with pytest.raises(OrchestratorMissing, match="child"):
        await simulation._run_instance("i-1:0")
    assert simulation.instance().status is Status.RUNNING
    simulation._functions = complete
    await simulation.run()
    assert simulation.instance().output == "2"
