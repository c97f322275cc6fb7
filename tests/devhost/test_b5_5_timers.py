"""B5.5, timers of orchestrations."""

from datetime import timedelta

import pytest

from devhost.durable.history import EventType, Status
from tests.devhost.orchestrations import SDK_WARNINGS, Context, Simulate, Steps
from tests.devhost.simulation import START

pytestmark = SDK_WARNINGS


async def test_an_instance_runs_until_a_lost_timer_that_was_not_cancelled_fires(simulate: Simulate) -> None:
    def hasty(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        winner = yield context.task_any([timer, context.call_activity("double", 1)])
        if context.get_input() == "cancel":
            timer.cancel()
        return winner == timer

    for wish, spent in (("leave", timedelta(hours=1)), ("cancel", timedelta(0))):
        simulation = simulate(hasty)
        simulation.start("hasty", wish)
        await simulation.run()
        assert simulation.instance().output == "false"
        assert spent <= simulation.now - START < spent + timedelta(seconds=1)
        assert EventType.TIMER_CREATED in simulation.kinds()


async def test_a_timer_wins_when_its_event_does_not_come(simulate: Simulate) -> None:
    def patient(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(minutes=5))
        event = context.wait_for_external_event("answer")
        winner = yield context.task_any([timer, event])
        return "late" if winner == timer else event.result

    simulation = simulate(patient)
    simulation.start("patient")
    await simulation.run()
    assert simulation.instance().output == '"late"'
    assert simulation.now - START >= timedelta(minutes=5)


async def test_a_long_timer_is_split_as_on_azure_storage(simulate: Simulate) -> None:
    def fortnight(context: Context) -> Steps:
        yield context.create_timer(context.current_utc_datetime + timedelta(days=10))
        return str(context.current_utc_datetime - START.replace(tzinfo=context.current_utc_datetime.tzinfo))

    simulation = simulate(fortnight)
    simulation.start("fortnight")
    await simulation.run()
    created = [e for e in simulation.history() if e["EventType"] == EventType.TIMER_CREATED]
    assert [e["FireAt"][:10] for e in created] == ["2026-01-04", "2026-01-07", "2026-01-11"]
    assert [e["EventId"] for e in created] == [0, 1, 2]
    assert simulation.instance().status is Status.COMPLETED


async def test_a_timer_of_six_days_is_one_timer(simulate: Simulate) -> None:
    def six_days(context: Context) -> Steps:
        yield context.create_timer(context.current_utc_datetime + timedelta(days=6))

    simulation = simulate(six_days)
    simulation.start("six_days")
    await simulation.run()
    assert simulation.kinds() == [12, 0, 10, 13, 12, 11, 1, 13]
    assert simulation.now - START >= timedelta(days=6)


async def test_a_timer_of_the_past_fires_at_once(simulate: Simulate) -> None:
    def late(context: Context) -> Steps:
        yield context.create_timer(context.current_utc_datetime - timedelta(days=1))
        return "over"

    simulation = simulate(late)
    simulation.start("late")
    await simulation.run()
    assert simulation.instance().output == '"over"'
    assert simulation.now - START < timedelta(seconds=1)


async def test_time_stands_at_the_moment_of_the_fired_timer_or_later(simulate: Simulate) -> None:
    def sleeps(context: Context) -> Steps:
        fire_at = context.current_utc_datetime + timedelta(hours=1)
        yield context.create_timer(fire_at)
        return [context.current_utc_datetime >= fire_at, context.current_utc_datetime.tzinfo is not None]

    simulation = simulate(sleeps)
    simulation.start("sleeps")
    await simulation.run()
    assert simulation.instance().output == "[true,true]"


async def test_a_cancelled_long_timer_keeps_the_instance_running_for_three_days_as_on_azure(
    simulate: Simulate,
) -> None:
    def hasty(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=10))
        yield context.task_any([timer, context.call_activity("double", 1)])
        timer.cancel()
        return "done"

    simulation = simulate(hasty)
    simulation.start("hasty")
    while simulation.hub.waiting_instances() or simulation.hub.pending_activities():
        await simulation.step()
    assert simulation.instance().status is Status.RUNNING
    await simulation.run()
    assert simulation.instance().output == '"done"'
    assert simulation.now - START >= timedelta(days=3)


@pytest.mark.derived
async def test_time_never_runs_backwards_when_the_clock_is_set_back(simulate: Simulate) -> None:
    def waits(context: Context) -> Steps:
        yield context.call_activity("double", 1)
        due = context.current_utc_datetime + timedelta(seconds=60)
        yield context.create_timer(due)
        return context.current_utc_datetime >= due

    simulation = simulate(waits)
    simulation.start("waits")
    await simulation._run_instance("i")
    await simulation._run_activity(*simulation.hub.pending_activities())
    simulation.now -= timedelta(hours=1)
    await simulation._run_instance("i")
    steps = [item["Timestamp"] for item in simulation.history() if item["EventType"] == 12]
    assert steps == sorted(steps)
    simulation.now += timedelta(hours=2)
    simulation._fire()
    simulation.now -= timedelta(hours=2)
    await simulation._run_instance("i")
    assert simulation.instance().output == "true"
