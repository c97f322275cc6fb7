"""B5.11: traits of the SDK that an app must live with; devhost mends none of them."""

import json
from collections.abc import Callable, Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.history import Status
from tests.devhost.simulation import Simulation, durable_functions

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*df_loads was called without expected_type:DeprecationWarning"
)
Context = Any  # the SDK ships no types
Steps = Generator[Any, Any, Any]
Run = Callable[[Callable[[Context], Any]], Any]


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Callable[..., Simulation]]:
    numbers, made = count(), list[Simulation]()

    def make(orchestrator: Callable[[Context], Any]) -> Simulation:
        app = df.DFApp()
        app.orchestration_trigger(context_name="context")(orchestrator)

        @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
        def double(number: int) -> int:
            return 2 * number

        @app.activity_trigger(input_name="text")  # type: ignore[untyped-decorator]
        def breaks(text: str) -> str:
            raise KeyError(text)

        made.append(Simulation(tmp_path / f"hub{next(numbers)}.sqlite", durable_functions(app)))
        return made[-1]

    yield make
    for simulation in made:
        simulation.hub.close()


Simulate = Callable[..., Simulation]


async def output(simulation: Simulation, name: str) -> Any:
    simulation.start(name)
    await simulation.run()
    instance = simulation.instance()
    assert instance.status == Status.COMPLETED, instance.output
    return json.loads(instance.output or "null")


async def test_a_result_after_destruct_on_exit_makes_the_entity_again(tmp_path: Path) -> None:
    app = df.DFApp()

    @app.entity_trigger(context_name="context")  # type: ignore[untyped-decorator]
    def thing(context: Any) -> None:
        context.set_state("here")
        if context.operation_name != "touch":
            context.destruct_on_exit()
        if context.operation_name == "leave and answer":
            context.set_result("left")

    simulation = Simulation(tmp_path / "hub.sqlite", durable_functions(app))
    states = []
    for operation in ("touch", "leave", "touch", "leave and answer"):
        simulation.signal("@thing@k", operation)
        await simulation.run()
        states.append(simulation.hub.entity("@thing@k") is not None)
    assert states == [True, False, True, True]
    simulation.hub.close()


async def test_all_of_no_tasks_is_none(simulate: Simulate) -> None:
    def waits_for_nothing(context: Context) -> Steps:
        nothing = yield context.task_all([])
        return {"nothing": nothing}

    assert await output(simulate(waits_for_nothing), "waits_for_nothing") == {"nothing": None}


@pytest.mark.parametrize("falsy", [0, "", [], {}, False, None])
async def test_a_falsy_custom_status_clears_what_was_shown(simulate: Simulate, falsy: object) -> None:
    def shows(context: Context) -> Steps:
        context.set_custom_status("busy")
        yield context.call_activity("double", 1)
        context.set_custom_status(falsy)
        yield context.call_activity("double", 1)

    simulation, seen = simulate(shows), list[str | None]()
    simulation.start("shows")
    await simulation.run(between=lambda: seen.append(simulation.instance().custom_status))
    assert '"busy"' in seen
    assert simulation.instance().custom_status is None


async def test_the_version_is_empty(simulate: Simulate) -> None:
    def says_its_version(context: Context) -> str:
        return f"version {context.version!r}"

    assert await output(simulate(says_its_version), "says_its_version") == "version ''"


async def test_the_winner_of_task_any_is_a_task_with_a_result(simulate: Simulate) -> None:
    def races(context: Context) -> Steps:
        task = context.call_activity("double", 4)
        winner = yield context.task_any([task])
        return {"same": winner is task, "result": winner.result, "getter": hasattr(winner, "get_result")}

    assert await output(simulate(races), "races") == {"same": True, "result": 8, "getter": False}


async def test_the_error_of_an_activity_is_a_plain_exception_with_a_long_text(simulate: Simulate) -> None:
    def catches(context: Context) -> Steps:
        try:
            yield context.call_activity("breaks", "x")
        except Exception as error:  # noqa: BLE001 (which it is is asked here)
            return [type(error).__name__, str(error).splitlines()[0]]
        return None

    kind, text = await output(simulate(catches), "catches")
    assert kind == "Exception"
    assert text == "Activity function 'breaks' failed:  KeyError: 'x' "
