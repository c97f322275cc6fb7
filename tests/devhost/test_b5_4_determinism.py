"""B5.4, what the framework says when a history and the code do not fit."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable import replay_context
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


ASKS: dict[str, Callable[[Context], Any]] = {
    "activity": lambda context: context.call_activity("double", 1),
    "another activity": lambda context: context.call_activity("flaky", {"key": "k", "failures": 0}),
    "timer": lambda context: context.create_timer(context.current_utc_datetime + timedelta(days=1)),
    "child": lambda context: context.call_sub_orchestrator("waits", None, "child"),
    "another child": lambda context: context.call_sub_orchestrator("fickle", None, "child"),
    "entity": lambda context: context.call_entity(df.EntityId("counter", "k"), "add", 1),
    "nothing": lambda context: context.wait_for_external_event("never"),
}
ACTIVITY = "scheduled an activity task with sequence "
TIMER = "scheduled a timer task with sequence number 0 "
CHILD = (
    "scheduled a sub-orchestration task with sequence ID 0 and name 'waits' (version '', "
    "instance ID 'child'), but the current "
)
EVENT = (
    "scheduled a send event task with sequence ID 0, type 'EventSent', name 'op', "
    "instance ID '@counter@k', but the current "
)


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        ("activity", "nothing", f"{ACTIVITY}ID 0 and name 'double' (version ''), but the current replay "),
        ("activity", "timer", f"{ACTIVITY}number 0 named 'double', but the current orchestration replay "),
        ("activity", "another activity", "instead scheduled an activity task named 'flaky' with this"),
        ("activity", "entity", "instead produced a SendEventOrchestratorAction action with this sequence"),
        ("timer", "nothing", f"{TIMER}but the current replay execution hasn't (yet?) scheduled this task."),
        ("timer", "child", f"{TIMER}named but the current orchestration replay instead produced a Create"),
        ("child", "nothing", f"{CHILD}replay execution hasn't (yet?) scheduled this task."),
        (
            "child",
            "activity",
            f"{CHILD}orchestration replay instead produced a ScheduleTaskOrchestratorAction",
        ),
        ("child", "another child", "instead scheduled a sub-orchestration task with name fickle at this"),
        ("entity", "nothing", f"{EVENT}replay execution hasn't (yet?) scheduled this task."),
        ("entity", "timer", f"{EVENT}orchestration replay instead scheduled a CreateTimerOrchestratorAction"),
    ],
)
async def test_a_history_that_the_code_does_not_fit_fails_the_instance_in_the_frameworks_words(
    simulate: Simulate, first: str, then: str, says: str
) -> None:
    asks = iter([first])

    def fickle(context: Context) -> Steps:
        yield ASKS[next(asks, then)](context)

    def waits(context: Context) -> Steps:
        yield context.wait_for_external_event("never")

    simulation = simulate(fickle, waits)
    simulation.start("fickle")
    await simulation._run_instance("i")
    assert simulation.instance().status is Status.RUNNING
    simulation.raise_event("other", 1)
    await simulation._run_instance("i")
    instance = simulation.instance()
    assert instance.status is Status.FAILED
    output = str(instance.output)
    assert output.startswith(
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled a"
    )
    assert says in output
    assert output.endswith(
        "Was a change made to the orchestrator code after this instance had already started running?"
    )


@pytest.mark.parametrize("kind", [kind for kind in ASKS if not kind.startswith("another")])
async def test_code_that_asks_for_the_same_again_fits(simulate: Simulate, kind: str) -> None:
    def steady(context: Context) -> Steps:
        yield ASKS[kind](context)

    def waits(context: Context) -> Steps:
        yield context.wait_for_external_event("never")

    simulation = simulate(steady, waits)
    simulation.start("steady")
    await simulation._run_instance("i")
    simulation.raise_event("other", 1)
    await simulation._run_instance("i")
    assert simulation.instance().status is Status.RUNNING


async def test_an_action_beyond_the_largest_number_fails_the_instance(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(context: Context) -> Steps:
        yield context.task_all([context.call_activity("double", n) for n in range(5)])

    monkeypatch.setattr(replay_context, "_MAX_ACTIONS", 3)
    simulation = simulate(greedy)
    simulation.start("greedy")
    await simulation.run()
    assert "Maximum amount of orchestration actions (3) has been reached" in str(simulation.instance().output)
