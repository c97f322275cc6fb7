"""B5.4, crash safety: killed between any two steps, an orchestration comes to the same end."""

import asyncio
import json
import random
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import azure.durable_functions as df
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devhost.durable.history import Status
from tests.devhost.orchestrations import SDK_WARNINGS, TRIES, Context, Steps, app_of
from tests.devhost.simulation import Simulation, durable_functions

pytestmark = SDK_WARNINGS


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
        elif kind == "child":
            plan = [("call", number), ("retry", number)]
            results.append((yield context.call_sub_orchestrator("planned", plan)))
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
        elif kind == "child":
            results.append(expected([("call", number), ("retry", number)]))
        elif kind == "event":
            results.append(index)
    return results


numbers = count()
KINDS = ["call", "retry", "timer", "all", "race", "child", "event"]


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

        def meddle() -> None:
            if chance.random() < 0.1:
                chance.choice([simulation.suspend, simulation.resume])()
            if waits and chance.random() < 0.5:
                index = waits.pop(chance.randrange(len(waits)))
                simulation.raise_event(f"e{index}", index)

        try:
            await simulation.run(between=meddle)
            for index in waits:
                simulation.raise_event(f"e{index}", index)
            simulation.resume()
            await simulation.run()
            return simulation.instance().status, json.loads(simulation.instance().output or "null")
        finally:
            simulation.hub.close()

    outcomes = [asyncio.run(run("still", restarts=False)), asyncio.run(run("killed", restarts=True))]
    assert outcomes == [(Status.COMPLETED, expected(plan))] * 2
