"""B5.8: batches of operations: what is one call, what fails as a whole, and what a death leaves of it."""

import json
import random
import threading
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.entity_batch import BatchRefused, read_answer
from devhost.durable.entity_run import BatchAbandoned, EntityMissing
from tests.devhost.counting_app import COUNTER, counting, orchestrated, output
from tests.devhost.simulation import Simulation, durable_functions
from tests.devhost.test_crash_safety import Killed, MortalConnection

pytestmark = [
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]


async def test_requests_that_wait_together_are_one_call_of_the_function(tmp_path: Path) -> None:
    batches = list[int]()
    functions = durable_functions(counting(batches))
    simulation = Simulation(tmp_path / "hub.sqlite", functions, restarts=True, most_operations=4)
    for number in range(10):
        simulation.signal("@counter@a", "add", number)
    await simulation.run()
    assert (simulation.state("@counter@a"), batches) == (45, [4, 4, 2])


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
