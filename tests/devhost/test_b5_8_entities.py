"""B5.8: entities, called and signalled from orchestrations, with a restart after every step."""

import json
import random
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.entity_batch import BatchRefused, read_answer
from devhost.durable.entity_run import BatchAbandoned, EntityMissing
from devhost.durable.history import EventType, Status
from tests.devhost.simulation import Simulation, durable_functions
from tests.devhost.test_crash_safety import Killed, MortalConnection

pytestmark = [
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]

COUNTER = df.EntityId("Counter", "a")


def counting(batches: list[int] | None = None) -> df.DFApp:
    """An app with a counter; `batches` is told how many operations each call of its function had."""
    app = df.DFApp()

    def counter(context: df.DurableEntityContext) -> None:
        value = context.get_state(lambda: 0)
        match context.operation_name:
            case "add":
                value += context.get_input()
                context.set_state(value)
                context.set_result(value)
            case "get":
                context.set_result(value)
            case "remove":
                context.destruct_on_exit()
            case "who":
                context.set_result([context.entity_name, context.entity_key, context.get_input()])
            case "fail":
                context.set_state(value + 100)  # what a failed operation did to the state stays
                raise ValueError("no: ü\ud800")

    if batches is None:
        app.entity_trigger(context_name="context", entity_name="Counter")(counter)
        return app
    entity = df.Entity.create(counter)  # as apps do that register the handler themselves

    @app.generic_trigger(arg_name="context", type="entityTrigger", entityName="Counter")
    def counted(context):  # type: ignore[no-untyped-def]
        batches.append(len(json.loads(context.body)["batch"]))
        return entity(context)

    return app


def orchestrated(app: df.DFApp, body: Callable[[Any], Generator[Any, Any, Any]]) -> df.DFApp:
    app.orchestration_trigger(context_name="context", orchestration="o")(body)
    return app


async def run(path: Path, app: df.DFApp, *, restarts: bool = True, given: object = None) -> Simulation:
    simulation = Simulation(path / "hub.sqlite", durable_functions(app), restarts=restarts)
    simulation.start("o", given)
    await simulation.run()
    return simulation


def output(simulation: Simulation, instance_id: str = "i") -> Any:
    instance = simulation.instance(instance_id)
    assert instance.status is Status.COMPLETED, instance.output
    return json.loads(instance.output or "null")


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


async def test_requests_that_wait_together_are_one_call_of_the_function(tmp_path: Path) -> None:
    batches = list[int]()
    functions = durable_functions(counting(batches))
    simulation = Simulation(tmp_path / "hub.sqlite", functions, restarts=True, most_operations=4)
    for number in range(10):
        simulation.signal("@counter@a", "add", number)
    await simulation.run()
    assert (simulation.state("@counter@a"), batches) == (45, [4, 4, 2])


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


@pytest.mark.parametrize("seed", range(3))
async def test_hosts_that_die_between_work_and_commit_count_each_operation_once(
    tmp_path: Path, seed: int
) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        for number in range(4):
            context.signal_entity(COUNTER, "add", 1)
            yield context.call_entity(df.EntityId("counter", str(number % 2)), "add", 1)
        return "done"

    chance = random.Random(seed)  # noqa: S311 (no secret)
    functions = durable_functions(orchestrated(counting(), body))
    simulation = Simulation(tmp_path / "hub.sqlite", functions, restarts=True, chance=chance)
    for number in range(4):
        simulation.start("o", instance_id=str(number))
    await simulation.run()
    assert [output(simulation, str(number)) for number in range(4)] == ["done"] * 4
    assert [simulation.state(f"@counter@{key}") for key in ("a", "0", "1")] == [16, 8, 8]
    assert simulation.hub.waiting_entities() == []


async def test_a_death_before_any_statement_of_the_store_counts_each_operation_once(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        context.signal_entity(COUNTER, "add", 1)
        other = context.call_entity(df.EntityId("Counter", "b"), "add", 100)
        return (yield context.task_all([context.call_entity(COUNTER, "add", 10), other]))

    statements, has_died = 0, True
    while has_died:
        functions = durable_functions(orchestrated(counting(), body))
        simulation = Simulation(tmp_path / f"{statements}.sqlite", functions)
        simulation.start("o")
        connection: Any = MortalConnection(simulation.hub._db, statements)
        simulation.hub._db = connection
        try:
            await simulation.run()
            has_died = False
        except Killed:
            simulation.restart()
            await simulation.run()
        assert (statements, output(simulation)) == (statements, [11, 100])
        assert [simulation.state(f"@counter@{key}") for key in "ab"] == [11, 100]
        assert simulation.hub.waiting_entities() == []
        simulation.hub.close()
        statements += 1
    assert statements > 30


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


async def test_requests_for_an_entity_that_the_app_no_longer_has_wait_in_the_hub(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path / "hub.sqlite", durable_functions(counting()))
    simulation.signal("@gone@k", "x")
    with pytest.raises(EntityMissing, match="gone"):
        await simulation.run()
    assert simulation.hub.waiting_entities() == ["@gone@k"]


@pytest.mark.derived
async def test_a_function_that_fails_as_a_whole_changes_nothing_and_is_tried_again(tmp_path: Path) -> None:
    app, is_broken = df.DFApp(), [True]

    def holds(context: df.DurableEntityContext) -> None:
        context.set_state(object() if is_broken[0] else context.get_input())

    app.entity_trigger(context_name="context")(holds)
    simulation = Simulation(tmp_path / "hub.sqlite", durable_functions(app))
    simulation.signal("@holds@k", "set", 5)
    with pytest.raises(BatchAbandoned, match="TypeError"):
        await simulation.run()
    assert simulation.hub.entities() == []
    is_broken[0] = False
    await simulation.run()
    assert simulation.state("@holds@k") == 5


@pytest.mark.derived
async def test_a_batch_over_its_time_limit_fails_every_operation_and_leaves_the_state(
    tmp_path: Path,
) -> None:
    app, gate = counting(), threading.Event()

    def slow(context: df.DurableEntityContext) -> None:
        context.set_state("late")
        gate.wait(5)

    app.entity_trigger(context_name="context")(slow)

    def body(context: Any) -> Generator[Any, Any, Any]:
        try:
            yield context.call_entity(df.EntityId("slow", "k"), "x")
        except Exception as error:  # noqa: BLE001 (the SDK raises nothing finer)
            return str(error)

    functions = durable_functions(orchestrated(app, body))
    simulation = Simulation(
        tmp_path / "hub.sqlite", functions, restarts=True, limit=timedelta(milliseconds=200)
    )
    simulation.start("o")
    await simulation.run()
    gate.set()
    assert output(simulation).startswith(
        "Timeout value of 0:00:00.200000 exceeded by function 'Functions.slow'"
    )
    assert simulation.hub.entities() == []


def answer(**changes: Any) -> str:
    result = {"isError": False, "duration": 0, "startTime": 1, "result": "5"}
    return json.dumps(
        {"entityExists": True, "entityState": "7", "results": [result], "signals": [], **changes}
    )


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{}", answer(results=[]), answer(results=[5]), answer(signals=[1])]
)
def test_an_answer_that_does_not_fit_is_refused(text: str | None) -> None:
    with pytest.raises(BatchRefused):
        read_answer(text, 1)


async def test_an_entity_may_signal_others(tmp_path: Path) -> None:
    """The SDK has no call for it, but its answer has a place for signals."""
    app = counting()

    @app.generic_trigger(arg_name="context", type="entityTrigger")
    def forwards(context):  # type: ignore[no-untyped-def]
        target = {"name": "Counter", "key": "a"}
        return answer(signals=[{"target": target, "name": "add", "input": '"5"'}])

    simulation = Simulation(tmp_path / "hub.sqlite", durable_functions(app), restarts=True)
    simulation.signal("@forwards@k", "x")
    await simulation.run()
    assert (simulation.state("@counter@a"), simulation.state("@forwards@k")) == (5, 7)
