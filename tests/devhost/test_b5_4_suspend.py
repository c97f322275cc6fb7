"""B5.4, suspend and resume: events wait, decisions wait, a termination does not."""

import json
from datetime import timedelta
from typing import Any

import pytest

from devhost.durable.history import EventType, Status
from tests.devhost.orchestrations import SDK_WARNINGS, Context, Simulate, Steps

pytestmark = SDK_WARNINGS


def chain(context: Context) -> Steps:
    value = 1
    for _ in range(3):
        value = yield context.call_activity("double", value)
    return value


def collects(context: Context) -> Steps:
    first = yield context.wait_for_external_event("first")
    second = yield context.wait_for_external_event("second")
    return [first, second]


def scheduled(simulation: Any) -> int:
    return int(simulation.kinds().count(EventType.TASK_SCHEDULED))


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_result_that_comes_while_suspended_waits_for_the_resumption(
    simulate: Simulate, restarts: bool
) -> None:
    simulation = simulate(chain, restarts=restarts)
    simulation.start("chain")
    await simulation.step()
    simulation.suspend("a pause")
    await simulation.run()
    assert simulation.instance().status is Status.SUSPENDED
    assert scheduled(simulation) == 1
    assert EventType.TASK_COMPLETED in simulation.kinds()
    simulation.resume("on with it")
    await simulation.run()
    assert (simulation.instance().status, simulation.instance().output) == (Status.COMPLETED, "8")


async def test_what_an_orchestrator_decides_in_the_step_that_suspends_it_is_kept_back(
    simulate: Simulate,
) -> None:
    simulation = simulate(chain)
    simulation.start("chain")
    simulation.suspend()
    await simulation.run()
    assert simulation.kinds() == [12, 0, 19, 13]
    assert simulation.hub.pending_activities() == []
    assert simulation.instance().status is Status.SUSPENDED
    simulation.resume()
    await simulation.step()
    assert simulation.kinds() == [12, 0, 19, 13, 12, 20, 4, 13]
    await simulation.run()
    assert simulation.instance().output == "8"


async def test_events_that_come_while_suspended_are_given_in_their_order(simulate: Simulate) -> None:
    simulation = simulate(collects)
    simulation.start("collects")
    await simulation.step()
    simulation.suspend()
    for name in ("second", "first"):
        simulation.raise_event(name, name)
        await simulation.run()
        assert simulation.instance().status is Status.SUSPENDED
    simulation.resume()
    await simulation.run()
    assert json.loads(simulation.instance().output or "") == ["first", "second"]


async def test_a_second_suspension_is_lifted_by_one_resumption(simulate: Simulate) -> None:
    simulation = simulate(chain)
    simulation.start("chain")
    for _ in range(2):
        simulation.suspend()
        await simulation.step()
    simulation.resume()
    await simulation.run()
    assert simulation.instance().output == "8"


async def test_a_timer_that_fires_while_suspended_counts_after_the_resumption(simulate: Simulate) -> None:
    def sleeps(context: Context) -> Steps:
        yield context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        return "awake"

    simulation = simulate(sleeps)
    simulation.start("sleeps")
    await simulation.step()
    simulation.suspend()
    await simulation.run()
    assert EventType.TIMER_FIRED in simulation.kinds()
    assert simulation.instance().status is Status.SUSPENDED
    simulation.resume()
    await simulation.run()
    assert simulation.instance().output == '"awake"'


async def test_a_suspension_and_a_resumption_in_one_step_change_nothing(simulate: Simulate) -> None:
    simulation = simulate(chain)
    simulation.start("chain")
    simulation.suspend()
    simulation.resume()
    await simulation.run()
    assert simulation.instance().output == "8"


async def test_a_termination_does_not_wait_for_the_resumption(simulate: Simulate) -> None:
    simulation = simulate(chain)
    simulation.start("chain")
    await simulation.step()
    simulation.suspend()
    await simulation.run()
    simulation.terminate("no longer needed")
    await simulation.run()
    instance = simulation.instance()
    assert (instance.status, instance.output) == (Status.TERMINATED, "no longer needed")


async def test_a_resumption_of_what_is_not_suspended_changes_nothing(simulate: Simulate) -> None:
    simulation = simulate(chain)
    simulation.start("chain")
    simulation.resume()
    await simulation.run()
    assert simulation.instance().output == "8"
