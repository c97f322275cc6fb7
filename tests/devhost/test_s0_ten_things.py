"""Section 0: ten things that bite an app first, each as it happens on the real host."""

import json
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.history import Status
from devhost.errors import FunctionRefused
from devhost.indexing.binding_rules import check_function
from devhost.indexing.function_binding import Binding
from tests.devhost.host_process import DevhostProcess
from tests.devhost.simulation import START, Simulation, durable_functions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]
Context = Any  # the SDK ships no types
Steps = Generator[Any, Any, Any]
Simulate = Callable[[df.DFApp], Simulation]


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Simulate]:
    numbers, made = count(), list[Simulation]()

    def make(app: df.DFApp) -> Simulation:
        made.append(Simulation(tmp_path / f"hub{next(numbers)}.sqlite", durable_functions(app)))
        return made[-1]

    yield make
    for simulation in made:
        simulation.hub.close()


def app_of(orchestrator: Callable[[Context], Steps]) -> df.DFApp:
    app = df.DFApp()
    app.orchestration_trigger(context_name="context")(orchestrator)

    @app.activity_trigger(input_name="number", activity="Doubled")  # type: ignore[untyped-decorator]
    def double(number: int) -> int:
        return 2 * number

    return app


async def ends_at(simulation: Simulation) -> datetime:
    """Run to the end; the moment in the simulation at which the instance had ended."""
    while not simulation.instance().status.is_final:
        assert await simulation.step(), "nothing is left to do, and it has not ended"
    return simulation.now


async def test_1_an_orchestration_goes_on_while_a_lost_timer_is_open(simulate: Simulate) -> None:
    def race(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        yield context.task_any([timer, context.call_activity("Doubled", 1)])
        return "done"

    simulation = simulate(app_of(race))
    simulation.start("race")
    ends = await ends_at(simulation)
    assert simulation.instance().status == Status.COMPLETED
    assert ends >= START + timedelta(hours=1)


def test_2_two_underscores_in_a_row_are_refused_in_a_binding_name() -> None:
    def trigger(name: str) -> Binding:
        return Binding(name, "activityTrigger", "IN", {})

    assert check_function("f", [trigger("snake_case")])
    with pytest.raises(FunctionRefused, match="The binding name two__underscores is invalid"):
        check_function("f", [trigger("two__underscores")])


def test_3_an_app_can_be_asked_for_its_functions_once() -> None:
    def alone(context: Context) -> Steps:
        yield context.call_activity("Doubled", 1)

    app = app_of(alone)
    app.get_functions()
    with pytest.raises(ValueError, match="does not have a unique function name"):
        app.get_functions()


async def test_4_the_start_of_an_execution_has_an_empty_version(simulate: Simulate) -> None:
    def versioned(context: Context) -> Steps:
        yield context.call_activity("Doubled", 1)
        return context.version

    simulation = simulate(app_of(versioned))
    simulation.start("versioned")
    await simulation.run()
    assert simulation.history()[1]["Version"] == ""
    assert json.loads(simulation.instance().output or "") == ""


def test_5_an_event_of_the_client_is_a_string_and_a_raw_one_is_what_it_is(everything: DevhostProcess) -> None:
    outputs = list[object]()
    for body in (json.dumps(json.dumps(True)), "true"):  # what the client sends, and what a person sends
        instance_id = f"five-{len(outputs)}"
        everything.start("approval", instance_id, 3600)
        assert everything.durable("POST", f"instances/{instance_id}/raiseEvent/approve", body).status == 202
        outputs.append(everything.ended(instance_id)["output"]["approved"])
    assert outputs == ["true", True]


@pytest.mark.parametrize(("waits", "status"), [(2, Status.COMPLETED), (3, Status.RUNNING)])
async def test_6_two_early_events_of_one_name_are_both_the_last_and_a_third_wait_hangs(
    simulate: Simulate, waits: int, status: Status
) -> None:
    def collects(context: Context) -> Steps:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
        seen = []
        for _ in range(waits):
            seen.append((yield context.wait_for_external_event("e")))
        context.set_custom_status(seen)
        return seen

    simulation = simulate(app_of(collects))
    simulation.start("collects")
    await simulation.step()
    simulation.raise_event("e", "a")
    simulation.raise_event("e", "b")
    await simulation.run()
    assert simulation.instance().status == status
    assert set(json.loads(simulation.instance().custom_status or "")) == {"b"}


async def test_7_an_unknown_activity_fails_the_instance_and_says_why(simulate: Simulate) -> None:
    def asks(context: Context) -> Steps:
        yield context.call_activity("nobody", 1)

    simulation = simulate(app_of(asks))
    simulation.start("asks")
    await simulation.run()
    instance = simulation.instance()
    assert instance.status == Status.FAILED  # on the real extension it would be Running for ever
    assert "The function 'nobody' doesn't exist" in (instance.output or "")


async def test_8_a_function_object_is_called_by_its_python_name(simulate: Simulate) -> None:
    def calls(context: Context) -> Steps:
        return (yield context.call_activity(double, 2))

    app = df.DFApp()
    app.orchestration_trigger(context_name="context")(calls)

    @app.activity_trigger(input_name="number", activity="Doubled")  # type: ignore[untyped-decorator]
    def double(number: int) -> int:
        return 2 * number

    simulation = simulate(app)
    simulation.start("calls")
    await simulation.run()
    assert "The function 'double' doesn't exist" in (simulation.instance().output or "")


def test_9_a_wrong_verb_is_404_and_what_cannot_be_answered_an_empty_500(everything: DevhostProcess) -> None:
    assert everything.call("POST", "/api/hello").status == 404
    for path in ("/api/fails", "/api/nothing"):
        answer = everything.call("GET", path)
        assert (answer.status, answer.body) == (500, b"")


async def test_10_a_long_timer_cannot_be_cancelled_before_its_third_day(simulate: Simulate) -> None:
    def cancels(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=10))
        doubled = context.call_activity("Doubled", 1)
        yield context.task_any([timer, doubled])
        timer.cancel()
        return doubled.result

    simulation = simulate(app_of(cancels))
    simulation.start("cancels")
    ends = await ends_at(simulation)
    assert (simulation.instance().status, simulation.instance().output) == (Status.COMPLETED, "2")
    assert START + timedelta(days=3) <= ends < START + timedelta(days=3, minutes=1)
