"""Orchestrations: the real SDK on our replay, step by step."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devhost.durable.episode import EpisodeAbandoned
from devhost.durable.history import EventType, Status, execution_started, parse_utc
from tests.devhost.simulation import START, Simulation, durable_functions

pytestmark = [
    # The SDK warns when an event comes before its wait; that it may is what is tested here.
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]

Context = Any  # the SDK ships no types
Steps = Generator[Any, Any, Any]
Orchestrator = Callable[[Context], Any]
TRIES: dict[str, int] = {}


def app_of(*orchestrators: Orchestrator) -> df.DFApp:
    app = df.DFApp()
    for orchestrator in orchestrators:
        app.orchestration_trigger(context_name="context")(orchestrator)

    @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
    def double(number: int) -> int:
        return number * 2

    @app.activity_trigger(input_name="wish")  # type: ignore[untyped-decorator]
    def flaky(wish: dict) -> str:  # type: ignore[type-arg]  # the worker knows plain types only
        TRIES[wish["key"]] = TRIES.get(wish["key"], 0) + 1
        if TRIES[wish["key"]] <= wish["failures"]:
            raise ValueError(f"try {TRIES[wish['key']]}")
        return "at last"

    return app


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Callable[..., Simulation]]:
    TRIES.clear()
    numbers, made = count(), []

    def make(*orchestrators: Orchestrator, **options: Any) -> Simulation:
        made.append(
            Simulation(
                tmp_path / f"{next(numbers)}.sqlite", durable_functions(app_of(*orchestrators)), **options
            )
        )
        return made[-1]

    yield make
    for simulation in made:
        simulation.hub.close()


Simulate = Callable[..., Simulation]


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


async def test_retries_take_the_ids_that_the_framework_gives(simulate: Simulate) -> None:
    def stubborn(context: Context) -> Steps:
        options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=2)
        yield context.call_activity_with_retry("flaky", options, {"key": "k", "failures": 9})

    simulation = simulate(stubborn)
    simulation.start("stubborn")
    await simulation.run()
    history = simulation.history()
    assert simulation.kinds() == [12, 0, 4, 13, 12, 6, 10, 13, 12, 11, 4, 13, 12, 6, 10, 13, 12, 11, 1, 13]
    assert [e["EventId"] for e in history if e["EventType"] in (4, 10, 1)] == [0, 1, 2, 3, 4]
    assert history[-2]["OrchestrationStatus"] == Status.FAILED
    output = simulation.instance().output or ""
    assert output.startswith(
        "Orchestrator function 'stubborn' failed: Activity function 'flaky' failed:  ValueError: try 2"
    )
    assert simulation.now - START < timedelta(seconds=1)


async def test_a_retry_is_due_after_its_interval_and_the_last_timer_at_once(simulate: Simulate) -> None:
    def stubborn(context: Context) -> Steps:
        options = df.RetryOptions(first_retry_interval_in_milliseconds=1500, max_number_of_attempts=3)
        yield context.call_activity_with_retry("flaky", options, {"key": "k", "failures": 9})

    simulation = simulate(stubborn)
    simulation.start("stubborn")
    await simulation.run()
    waits, step_began = [], START
    for item in simulation.history():
        if item["EventType"] == EventType.ORCHESTRATOR_STARTED:
            step_began = parse_utc(item["Timestamp"])
        if item["EventType"] == EventType.TIMER_CREATED:
            waits.append(parse_utc(item["FireAt"]) - step_began)
    assert waits == [timedelta(seconds=1.5), timedelta(seconds=1.5), timedelta(0)]


async def test_a_failure_reaches_the_orchestrator_as_the_extension_words_it(simulate: Simulate) -> None:
    def careful(context: Context) -> Steps:
        try:
            yield context.call_activity("flaky", {"key": "k", "failures": 1})
        except Exception as error:  # noqa: BLE001 (the SDK raises nothing finer)
            return str(error)

    simulation = simulate(careful)
    simulation.start("careful")
    await simulation.run()
    reason, _, details = json.loads(simulation.instance().output or "").partition(" \n ")
    assert reason == "Activity function 'flaky' failed:  ValueError: try 1"
    inner = json.loads(details)["InnerException"]["Message"]
    assert inner.startswith("Result: Failure\nException: ValueError: try 1\nStack: ")
    assert "devhost/invoker" not in inner


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


async def test_a_cancelled_timer_beside_a_retry_is_no_deterministic_workflow_as_on_azure(
    simulate: Simulate,
) -> None:
    def hasty(context: Context) -> Steps:
        options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=3)
        timer = context.create_timer(context.current_utc_datetime + timedelta(days=1))
        call = context.call_activity_with_retry("flaky", options, {"key": "k", "failures": 1})
        yield context.task_any([timer, call])
        timer.cancel()
        yield context.call_activity("double", 1)

    simulation = simulate(hasty)
    simulation.start("hasty")
    await simulation.run()
    output = str(simulation.instance().output)
    assert "Non-Deterministic workflow detected" in output
    assert "A timer that is cancelled after task_any with a call that is retried does this" in output


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


async def test_a_falsy_custom_status_clears_it(simulate: Simulate) -> None:
    def speaking(context: Context) -> Steps:
        context.set_custom_status({"at": 1})
        yield context.wait_for_external_event("go")
        context.set_custom_status("")
        yield context.wait_for_external_event("end")

    simulation = simulate(speaking)
    simulation.start("speaking")
    await simulation.step()
    assert simulation.instance().custom_status == '{"at":1}'
    simulation.raise_event("go", None)
    await simulation.step()
    assert simulation.instance().custom_status is None


async def test_a_custom_status_that_azure_would_refuse_fails_the_instance(simulate: Simulate) -> None:
    def talks(context: Context) -> Steps:
        context.set_custom_status("x" * context.get_input())
        yield context.call_activity("double", 1)

    for length, status in ((8190, Status.COMPLETED), (8191, Status.FAILED)):  # and two quotation marks
        simulation = simulate(talks)
        simulation.start("talks", length)
        await simulation.run()
        assert simulation.instance().status is status


async def test_an_error_after_actions_keeps_them_and_fails(simulate: Simulate) -> None:
    def gives_up(context: Context) -> Steps:
        yield context.task_all([context.call_activity("double", n) for n in range(2)])
        raise KeyError("gone")

    simulation = simulate(gives_up)
    simulation.start("gives_up")
    await simulation.run()
    assert simulation.instance().output == "Orchestrator function 'gives_up' failed: 'gone'"
    assert simulation.kinds().count(EventType.TASK_COMPLETED) == 2


async def test_an_orchestrator_that_is_no_generator_may_fail_and_may_return(simulate: Simulate) -> None:
    def plain(context: Context) -> Any:
        if context.get_input() == "fail":
            raise ValueError("at once")
        return {"input": context.get_input()}

    for wish, status in (("fine", Status.COMPLETED), ("fail", Status.FAILED)):
        simulation = simulate(plain)
        simulation.start("plain", wish)
        await simulation.run()
        assert simulation.instance().status is status
    assert "One or more errors occurred. (Result: Failure\nException: ValueError: at once" in str(
        simulation.instance().output
    )


async def test_an_orchestrator_that_changed_its_mind_is_found_out(simulate: Simulate) -> None:
    names = iter(["double", "flaky"])

    def fickle(context: Context) -> Steps:
        yield context.call_activity(next(names), 1)

    simulation = simulate(fickle)
    simulation.start("fickle")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    assert "Non-Deterministic workflow detected" in str(simulation.instance().output)


@pytest.mark.parametrize("kind", ["activity", "orchestrator"])
async def test_a_function_that_is_not_there_fails_the_instance_clearly(simulate: Simulate, kind: str) -> None:
    def wants(context: Context) -> Steps:
        if kind == "activity":
            yield context.call_activity("not_there")
        else:
            yield context.call_sub_orchestrator("not_there")

    simulation = simulate(wants)
    simulation.start("wants")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    assert f"is not an {kind} function" in str(simulation.instance().output)


@pytest.mark.parametrize("way", ["output", "status", "error", "activity", "crash"])
async def test_text_that_no_store_takes_is_cleaned_and_ends_the_instance(
    simulate: Simulate, way: str
) -> None:
    text = "odd \ud800 text"

    def odd(context: Context) -> Steps:
        if way == "status":
            context.set_custom_status(text)
        if way == "error":
            yield context.call_activity("double", 1)
            raise ValueError(text)
        yield context.call_activity(text if way == "activity" else "double", 1)
        return text

    def crash(context: Context) -> None:
        raise ValueError(text)

    simulation = simulate(odd, crash)
    simulation.start("crash" if way == "crash" else "odd")
    await simulation.run()
    instance = simulation.instance()
    is_fine = way in ("output", "status")
    assert instance.status is (Status.COMPLETED if is_fine else Status.FAILED)
    assert "odd ? text" in str(instance.output)


async def test_what_cannot_be_followed_ends_the_instance_with_a_reason(simulate: Simulate) -> None:
    def patient(context: Context) -> Steps:
        options = df.RetryOptions(first_retry_interval_in_milliseconds=10**20, max_number_of_attempts=2)
        yield context.call_activity_with_retry("flaky", options, {"key": "k", "failures": 9})

    simulation = simulate(patient)
    simulation.start("patient")
    await simulation.run()
    instance = simulation.instance()
    assert instance.status is Status.FAILED
    assert "devhost cannot follow what it asked for: OverflowError" in str(instance.output)


def planned(context: Context) -> Steps:
    """Does what its input says; what it returns is known beforehand."""
    results: list[Any] = []
    options = df.RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=3)
    for index, (kind, number) in enumerate(context.get_input()):
        if kind == "call":
            results.append((yield context.call_activity("double", number)))
        elif kind == "retry":
            wish = {"key": f"{context.instance_id}-{index}", "failures": 99 if number == 3 else number}
            try:
                results.append((yield context.call_activity_with_retry("flaky", options, wish)))
            except Exception:  # noqa: BLE001 (the SDK raises nothing finer)
                results.append("failed")
        elif kind == "timer":
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=number))
        elif kind == "all":
            tasks = [context.call_activity("double", n) for n in range(number + 1)]
            tasks.append(context.wait_for_external_event(f"e{index}"))
            results.append((yield context.task_all(tasks)))
        elif kind == "race":
            timer = context.create_timer(context.current_utc_datetime + timedelta(days=1))
            call = context.call_activity("double", number)
            winner = yield context.task_any([timer, call])
            timer.cancel()
            results.append(winner.result)
        else:
            results.append((yield context.wait_for_external_event(f"e{index}")))
    return results


def expected(plan: list[tuple[str, int]]) -> list[Any]:
    results: list[Any] = []
    for index, (kind, number) in enumerate(plan):
        if kind in ("call", "race"):
            results.append(number * 2)
        elif kind == "retry":
            results.append("failed" if number == 3 else "at last")
        elif kind == "all":
            results.append([*(n * 2 for n in range(number + 1)), index])
        elif kind == "event":
            results.append(index)
    return results


numbers = count()
KINDS = ["call", "retry", "timer", "all", "race", "event"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), max_size=6), st.integers(0, 2**16))
def test_kills_between_any_two_steps_change_no_result(
    tmp_path: Path, plan: list[tuple[str, int]], seed: int
) -> None:
    async def run(name: str, *, restarts: bool) -> Any:
        TRIES.clear()
        chance = random.Random(seed)  # noqa: S311 (a test's own)
        path = tmp_path / f"{name}-{next(numbers)}.sqlite"
        functions = durable_functions(app_of(planned))
        simulation = Simulation(path, functions, restarts=restarts, chance=chance)
        simulation.start("planned", plan)
        waits = [index for index, (kind, _) in enumerate(plan) if kind in ("all", "event")]

        def raise_one() -> None:
            if waits and chance.random() < 0.5:
                index = waits.pop(chance.randrange(len(waits)))
                simulation.raise_event(f"e{index}", index)

        try:
            await simulation.run(between=raise_one)
            for index in waits:
                simulation.raise_event(f"e{index}", index)
            await simulation.run()
            return simulation.instance().status, json.loads(simulation.instance().output or "null")
        finally:
            simulation.hub.close()

    outcomes = [asyncio.run(run("still", restarts=False)), asyncio.run(run("killed", restarts=True))]
    assert outcomes == [(Status.COMPLETED, expected(plan))] * 2
