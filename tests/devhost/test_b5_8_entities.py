"""B5.8: entities, called and signalled from orchestrations, with a restart after every step."""

import json
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.entity_run import EntityMissing
from devhost.durable.history import EventType, Status
from tests.devhost.counting_app import COUNTER, counting, orchestrated, output, run
from tests.devhost.simulation import Simulation, durable_functions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]


@pytest.mark.parametrize("restarts", [False, True])
async def test_calls_are_answered_in_their_order(tmp_path: Path, restarts: bool) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        first = yield context.call_entity(COUNTER, "add", 5)
        second = yield context.call_entity(COUNTER, "add", 2)
        return [first, second, (yield context.call_entity(COUNTER, "get"))]

    simulation = await run(tmp_path, orchestrated(counting(), body), restarts=restarts)
    assert output(simulation) == [5, 7, 7]
    assert simulation.state("@counter@a") == 7


async def test_a_call_stands_in_the_history_as_on_azure(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        return (yield context.call_entity(COUNTER, "add", 5))

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert simulation.kinds() == [12, 0, 14, 13, 12, 15, 1, 13]
    sent = next(e for e in simulation.history() if e["EventType"] == EventType.EVENT_SENT)
    assert (sent["EventId"], sent["InstanceId"], sent["Name"]) == (0, "@counter@a", "op")
    request = json.loads(sent["Input"])
    assert request["op"] == "add"
    assert request["input"] == '"5"'
    assert (request["parent"], request["parentExecution"]) == ("i", "i-1")
    assert "signal" not in request
    raised = next(e for e in simulation.history() if e["EventType"] == EventType.EVENT_RAISED)
    assert raised["Name"] == request["id"]
    assert json.loads(raised["Input"]) == {"result": "5"}


async def test_signals_take_an_id_and_are_not_waited_for(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        context.signal_entity(COUNTER, "add", 5)
        context.signal_entity(df.EntityId("counter", "b@c"), "add", 1)
        got = yield context.call_entity(COUNTER, "get")
        context.signal_entity(COUNTER, "add", 1)
        return got

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert output(simulation) == 5
    sent = [e for e in simulation.history() if e["EventType"] == EventType.EVENT_SENT]
    assert [e["EventId"] for e in sent] == [0, 1, 2, 3]
    assert [json.loads(e["Input"]).get("signal") for e in sent] == [True, True, None, True]
    assert [simulation.state(key) for key in ("@counter@a", "@counter@b@c")] == [6, 1]


async def test_an_operation_that_fails_raises_in_the_caller_and_keeps_the_state_it_set(
    tmp_path: Path,
) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        try:
            yield context.call_entity(COUNTER, "fail")
        except Exception as error:  # noqa: BLE001 (the SDK raises nothing finer)
            return [str(error).replace("\ud800", "?"), (yield context.call_entity(COUNTER, "get"))]

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert output(simulation) == ["no: ü?", 100]
    raised = next(e for e in simulation.history() if e["EventType"] == EventType.EVENT_RAISED)
    assert json.loads(raised["Input"])["exceptionType"] == "Error"


async def test_an_unhandled_error_of_an_entity_fails_the_orchestration(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_entity(COUNTER, "fail")

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert simulation.instance().status is Status.FAILED
    assert str(simulation.instance().output).startswith("Orchestrator function 'o' failed: no: ü")


async def test_an_entity_that_destructs_itself_is_gone_and_may_come_again(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        yield context.call_entity(COUNTER, "add", 5)
        yield context.call_entity(COUNTER, "remove")
        return (yield context.call_entity(COUNTER, "add", 1))

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert output(simulation) == 1
    simulation.signal("@counter@a", "remove")
    await simulation.run()
    assert simulation.hub.entities() == []


async def test_an_entity_knows_its_name_key_and_input(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        who = df.EntityId("COUNTER", "Key ü")
        return (yield context.call_entity(who, "who", {"a": [1, "ü", None]}))

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert output(simulation) == ["counter", "Key ü", {"a": [1, "ü", None]}]


async def test_calls_of_many_entities_run_together(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        keys = [str(number) for number in range(5)]
        yield context.task_all([context.call_entity(df.EntityId("counter", k), "add", int(k)) for k in keys])
        calls = [context.call_entity(df.EntityId("counter", k), "add", 1) for k in (*keys, "0")]
        return (yield context.task_all(calls))

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert output(simulation) == [1, 2, 3, 4, 5, 2]


async def test_a_call_may_lose_against_a_timer(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        call = context.call_entity(COUNTER, "add", 5)
        limit = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        winner = yield context.task_any([limit, call])
        limit.cancel()
        return winner == call

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert output(simulation) is True


async def test_continue_as_new_gets_no_answer_that_was_meant_for_its_forerunner(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        if context.get_input() == "again":
            return (yield context.call_entity(COUNTER, "get"))
        context.signal_entity(df.EntityId("Counter", "signalled"), "add", 1)
        go, call = context.wait_for_external_event("go"), context.call_entity(COUNTER, "add", 1)
        yield context.task_any([call, go])
        context.continue_as_new("again")
        return None

    functions = durable_functions(orchestrated(counting(), body))
    simulation = Simulation(tmp_path / "hub.sqlite", functions, restarts=True)
    simulation.start("o")
    simulation.raise_event("go", "now")
    await simulation.run()
    assert (output(simulation), simulation.state("@counter@signalled")) == (1, 1)
    answers = [e for e in simulation.history() if e["EventType"] == EventType.EVENT_RAISED]
    assert [json.loads(e["Input"]) for e in answers] == [{"result": "1"}]
    assert simulation.hub.waiting_instances() == []


@pytest.mark.parametrize("is_signal", [False, True])
async def test_an_unknown_entity_fails_the_orchestration(tmp_path: Path, is_signal: bool) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        nobody = df.EntityId("Nobody", "k")
        if is_signal:
            context.signal_entity(nobody, "x")
        else:
            yield context.call_entity(nobody, "x")

    simulation = await run(tmp_path, orchestrated(counting(), body))
    assert simulation.instance().status is Status.FAILED
    assert (
        "The function 'nobody' doesn't exist, is disabled, or is not an entity function. "
        "Additional info: The following are the known entity functions: 'Counter'."
    ) in str(simulation.instance().output)
    assert simulation.hub.waiting_entities() == []


async def test_a_call_of_an_entity_that_cannot_run_now_is_answered_when_it_can(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        return (yield context.call_entity(COUNTER, "add", 1))

    functions = durable_functions(orchestrated(counting(), body))
    disabled = replace(functions, entities={}, absent_entities=frozenset({"counter"}))
    simulation = Simulation(tmp_path / "hub.sqlite", disabled)
    simulation.start("o")
    with pytest.raises(EntityMissing, match="counter"):
        await simulation.run()
    assert simulation.instance().status is Status.RUNNING
    simulation = Simulation(tmp_path / "hub.sqlite", functions)
    await simulation.run()
    assert output(simulation) == 1
