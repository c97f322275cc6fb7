"""B5.4, what the framework says when a history and the code do not fit."""

from datetime import timedelta

import azure.durable_functions as df

from devhost.durable.history import Status
from tests.devhost.orchestrations import SDK_WARNINGS, Context, Simulate, Steps

pytestmark = SDK_WARNINGS


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


async def test_an_orchestrator_that_changed_its_mind_is_found_out(simulate: Simulate) -> None:
    names = iter(["double", "flaky"])

    def fickle(context: Context) -> Steps:
        yield context.call_activity(next(names), 1)

    simulation = simulate(fickle)
    simulation.start("fickle")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    assert "Non-Deterministic workflow detected" in str(simulation.instance().output)
