"""B5.4, the algorithm: the real SDK on our replay, step by step."""

import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.episode import EpisodeAbandoned
from devhost.durable.history import Status, execution_started
from tests.devhost.orchestrations import SDK_WARNINGS, Context, Simulate, Steps
from tests.devhost.simulation import START

pytestmark = SDK_WARNINGS


async def test_a_chain_hands_each_result_on(simulate: Simulate) -> None:
    def chain(context: Context) -> Steps:
        value = context.get_input()
        for _ in range(3):
            value = yield context.call_activity("double", value)
        return value

    simulation = simulate(chain)
    simulation.start("chain", 5)
    assert simulation.instance().status is Status.PENDING
    await simulation.run()
    assert simulation.instance().status is Status.COMPLETED
    assert simulation.instance().output == "40"
    assert simulation.kinds()[:8] == [12, 0, 4, 13, 12, 5, 4, 13]
    assert simulation.kinds()[-4:] == [12, 5, 1, 13]


async def test_an_event_that_comes_early_is_kept_for_its_wait(simulate: Simulate) -> None:
    def waiting(context: Context) -> Steps:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
        first = yield context.wait_for_external_event("first")
        second = yield context.wait_for_external_event("second")
        return [first, second]

    simulation = simulate(waiting)
    simulation.start("waiting")
    simulation.raise_event("second", 2)
    await simulation.step()
    simulation.raise_event("first", {"n": 1})
    await simulation.run()
    assert json.loads(simulation.instance().output or "") == [{"n": 1}, 2]


async def test_each_early_event_serves_one_wait(simulate: Simulate) -> None:
    def waiting(context: Context) -> Steps:
        yield context.call_activity("double", 1)
        yield context.wait_for_external_event("same")
        context.set_custom_status("one")
        yield context.wait_for_external_event("same")
        context.set_custom_status("two")
        yield context.wait_for_external_event("same")

    simulation = simulate(waiting)
    simulation.start("waiting")
    for number in range(2):
        simulation.raise_event("same", number)
    await simulation.run()
    assert simulation.instance().custom_status == '"two"'
    assert simulation.instance().status is Status.RUNNING
    simulation.raise_event("same", 2)
    await simulation.run()
    assert simulation.instance().status is Status.COMPLETED


async def test_events_of_other_names_wake_nobody(simulate: Simulate) -> None:
    def waiting(context: Context) -> Steps:
        return (yield context.wait_for_external_event("wanted"))

    simulation = simulate(waiting)
    simulation.start("waiting")
    simulation.raise_event("other", 1)
    await simulation.run()
    assert simulation.instance().status is Status.RUNNING


async def test_of_two_waits_for_one_name_the_newest_is_served_first(simulate: Simulate) -> None:
    def twice(context: Context) -> Steps:
        waits = [context.wait_for_external_event("same") for _ in range(2)]
        return (yield context.task_all(waits))

    simulation = simulate(twice)
    simulation.start("twice")
    await simulation.step()
    for number in range(2):
        simulation.raise_event("same", number)
    await simulation.run()
    assert simulation.instance().output == "[1,0]"


async def test_a_task_given_to_task_any_twice_leaves_the_instance_running_as_on_azure(
    simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    def verify(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=1))
        for number in range(2):
            winner = yield context.task_any([context.wait_for_external_event(f"try{number}"), timer])
            if winner == timer:
                return "too late"
        return "verified"

    simulation = simulate(verify)
    simulation.start("verify")
    simulation.raise_event("try0", 0)
    await simulation.run()
    assert simulation.instance().status is Status.RUNNING
    assert "has returned and yet stays Running, as on Azure" in caplog.text
    simulation.raise_event("try1", 0)
    await simulation.run()
    assert simulation.instance().output == '"too late"'


async def test_continue_as_new_starts_an_empty_history_and_carries_late_events(simulate: Simulate) -> None:
    def rounds(context: Context) -> Steps:
        seen = context.get_input()
        seen.append((yield context.wait_for_external_event("next")))
        if len(seen) < 3:
            context.continue_as_new(seen)
            return None
        return seen

    simulation = simulate(rounds)
    simulation.start("rounds", [])
    await simulation.step()
    first = simulation.instance().execution_id
    for number in range(3):
        simulation.raise_event("next", number)
    await simulation.run()
    assert simulation.instance().output == "[0,1,2]"
    assert simulation.instance().execution_id != first
    assert simulation.kinds() == [12, 0, 15, 1, 13]


async def test_an_event_that_comes_while_continue_as_new_waits_for_a_task_is_new_to_the_next_execution(
    simulate: Simulate,
) -> None:
    is_replaying: list[bool] = []

    def rounds(context: Context) -> Steps:
        if context.get_input() == 0:
            calls = [context.call_activity("double", number) for number in range(2)]
            yield context.task_any(calls)
            context.continue_as_new(1)
            return None
        yield context.wait_for_external_event("next")
        is_replaying.append(context.is_replaying)
        return None

    simulation = simulate(rounds)
    simulation.start("rounds", 0)
    await simulation._run_instance("i")
    first, second = simulation.hub.pending_activities()
    await simulation._run_activity(first)
    await simulation._run_instance("i")
    simulation.raise_event("next", 1)
    await simulation._run_instance("i")
    await simulation._run_activity(second)
    await simulation.run()
    assert simulation.instance().status is Status.COMPLETED
    assert is_replaying == [False]


async def test_continue_as_new_drops_a_cancelled_timer(simulate: Simulate) -> None:
    def rounds(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=1))
        yield context.task_any([timer, context.wait_for_external_event("next")])
        timer.cancel()
        context.continue_as_new(context.get_input())

    simulation = simulate(rounds)
    simulation.start("rounds", 0)
    await simulation.step()
    assert simulation.hub.next_timer() is not None
    simulation.raise_event("next", 1)
    await simulation.step()
    assert simulation.hub.next_timer() is None


async def test_a_step_over_its_time_is_abandoned_and_changes_nothing(simulate: Simulate) -> None:
    def blocks(context: Context) -> Any:
        time.sleep(0.2)

    simulation = simulate(blocks, limit=timedelta(milliseconds=20))
    simulation.start("blocks")
    with pytest.raises(EpisodeAbandoned, match="Timeout value of"):
        await simulation.run()
    assert simulation.instance().status is Status.PENDING
    assert simulation.hub.waiting_instances() == ["i"]


async def test_a_result_for_an_earlier_execution_is_dropped(simulate: Simulate) -> None:
    def once(context: Context) -> Steps:
        return (yield context.call_activity("double", context.get_input()))

    simulation = simulate(once)
    simulation.start("once", 1)
    await simulation.step()
    (work,) = simulation.hub.pending_activities()
    simulation.terminate("enough")
    while simulation.instance().status is not Status.TERMINATED:
        await simulation._run_instance("i")
    simulation.hub.create_instance("i", "i-2", "once", _started("i", "i-2", "once", "2"), simulation.now)
    await simulation._run_activity(work)
    await simulation.run()
    assert simulation.instance().output == "4"


def _started(instance_id: str, execution_id: str, name: str, text: str) -> Any:
    return execution_started(instance_id, execution_id, name, json.dumps(text), START)


async def test_a_termination_acts_at_once_and_keeps_its_reason(simulate: Simulate) -> None:
    def endless(context: Context) -> Steps:
        context.set_custom_status("waiting")
        yield context.create_timer(context.current_utc_datetime + timedelta(days=1))

    simulation = simulate(endless)
    simulation.start("endless")
    await simulation.step()
    simulation.terminate("no longer needed")
    await simulation.run()
    instance = simulation.instance()
    assert (instance.status, instance.output) == (Status.TERMINATED, "no longer needed")
    assert instance.custom_status == '"waiting"'
    assert simulation.hub.next_timer() is None


@pytest.mark.parametrize("way", ["goes on", "ends", "starts over", "fails"])
async def test_a_signal_is_sent_whatever_becomes_of_the_execution_in_that_step(
    simulate: Simulate, way: str
) -> None:
    def signals(context: Context) -> Steps:
        context.signal_entity(df.EntityId("counter", "k"), "add", 1)
        if way == "goes on":
            yield context.wait_for_external_event("never")
        elif way == "starts over":
            context.continue_as_new(1)
        elif way == "fails":
            raise ValueError("no")

    simulation = simulate(signals)
    simulation._functions = replace(simulation._functions, absent_entities=frozenset({"counter"}))
    simulation.start("signals")
    await simulation._run_instance("i")
    work = simulation.hub.load_entity("@counter@k")
    assert work is not None
    (request,) = map(json.loads, work.messages)
    assert (request["op"], request["signal"], request["input"]) == ("add", True, '"1"')
    assert (request["parent"], request["parentExecution"]) == ("i", "i-1")
