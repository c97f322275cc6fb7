"""B5.10, rewind: what failed is taken back, and the rest is replayed."""

import json
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.history import EventType, Status
from devhost.durable.rewind import NotFailed
from tests.devhost.orchestrations import SDK_WARNINGS, TRIES, Context, Simulate, Steps

pytestmark = SDK_WARNINGS
REWOUND = EventType.GENERIC_EVENT


def once_failing(context: Context) -> Steps:
    doubled = yield context.call_activity("double", 4)
    told = yield context.call_activity("flaky", {"key": context.instance_id, "failures": 1})
    return [doubled, told]


def rewind(simulation: Any, instance_id: str = "i") -> Any:
    return simulation.hub.rewind(instance_id, "try again", simulation.now)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_failed_activity_is_called_again_and_the_others_are_not(
    simulate: Simulate, restarts: bool
) -> None:
    simulation = simulate(once_failing, restarts=restarts)
    simulation.start("once_failing")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    before = len(simulation.history())
    assert rewind(simulation).wake_instances == ["i"]
    instance = simulation.instance()
    assert (instance.status, instance.output) == (Status.RUNNING, None)
    rewound = [item["Reason"] for item in simulation.history() if item["EventType"] == REWOUND]
    assert rewound == ["Rewound: TaskScheduled", "Rewound: TaskFailed", "Rewound: ExecutionCompleted"]
    assert len(simulation.history()) == before
    await simulation.run()
    assert json.loads(simulation.instance().output or "") == [8, "at last"]
    assert TRIES == {"i": 2}
    (asked,) = [item for item in simulation.history() if item.get("Data") is not None]
    assert (asked["EventType"], asked["Data"]) == (REWOUND, "try again")


async def test_a_failed_child_is_rewound_and_answers_its_parent_anew(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        return (yield context.call_sub_orchestrator("once_failing", None, "child"))

    simulation = simulate(parent, once_failing)
    simulation.start("parent")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    assert rewind(simulation).wake_instances == ["child"]
    assert simulation.instance("child").status is Status.RUNNING
    created = EventType.SUB_ORCHESTRATION_INSTANCE_CREATED
    assert created in simulation.kinds()
    await simulation.run()
    assert json.loads(simulation.instance().output or "") == [8, "at last"]


async def test_the_failure_of_a_child_that_is_gone_stands(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        return (yield context.call_sub_orchestrator("once_failing", None, "child"))

    simulation = simulate(parent, once_failing)
    simulation.start("parent")
    await simulation.run()
    simulation.hub.purge(["child"])
    assert rewind(simulation).wake_instances == ["i"]
    await simulation.run()
    assert simulation.instance().status is Status.FAILED


@pytest.mark.derived
async def test_what_was_open_when_the_instance_failed_goes_on(simulate: Simulate) -> None:
    kinds = iter([True, False])

    def changes_its_mind(context: Context) -> Steps:
        first = next(kinds, True)
        calls = [context.call_activity("double", n) for n in range(2)]
        if first:
            yield context.task_all(calls)
        else:
            yield context.wait_for_external_event("other")

    simulation = simulate(changes_its_mind)
    simulation.start("changes_its_mind")
    await simulation.step()
    (_, second) = simulation.hub.pending_activities()
    await simulation._run_activity(simulation.hub.pending_activities()[0])
    await simulation._run_instance("i")
    assert simulation.instance().status is Status.FAILED
    await simulation._run_activity(second)
    assert simulation.hub.load_episode("i") is None
    assert len(rewind(simulation).activities) == 1
    await simulation.run()
    assert simulation.instance().status is Status.COMPLETED


async def test_only_a_failed_instance_is_rewound(simulate: Simulate) -> None:
    simulation = simulate(once_failing)
    simulation.start("once_failing")
    for instance_id in ("i", "unknown"):
        with pytest.raises(NotFailed):
            rewind(simulation, instance_id)
    assert simulation.instance().status is Status.PENDING


def failing_once_with_a_child_under_way(kind: str) -> tuple[Any, Any]:
    """A parent that fails in its second step, and the child that it has started in its first."""
    steps = iter([True, False])

    def parent(context: Context) -> Steps:
        call = context.call_sub_orchestrator("child", None, "child")
        if not next(steps, True):
            context.set_custom_status(
                "x" * 20_000
            )  # more than is taken: the instance fails with what is open
        try:
            return (yield call)
        except Exception as error:  # noqa: BLE001 (the SDK raises nothing more special)
            return str(error).splitlines()[0].strip()

    def child(context: Context) -> Steps:
        if kind == "failed":
            return (yield context.call_activity("flaky", {"key": "child", "failures": 1}))
        doubled = yield context.call_activity("double", 4)
        if kind == "terminated":
            yield context.wait_for_external_event("never")
        return doubled

    return parent, child


@pytest.mark.derived
@pytest.mark.parametrize(
    ("kind", "output"),
    [("completed", 8), ("failed", "at last"), ("terminated", "enough"), ("purged", "The instance is gone.")],
)
async def test_a_child_that_ended_when_its_parent_had_failed_answers_it(
    simulate: Simulate, kind: str, output: object
) -> None:
    simulation = simulate(*failing_once_with_a_child_under_way(kind))
    simulation.start("parent")
    await simulation._run_instance("i")
    simulation.raise_event("anything", 1)
    await simulation._run_instance("i")
    assert simulation.instance().status is Status.FAILED
    await simulation.run()
    if kind == "terminated":
        simulation.terminate("enough", instance_id="child")
        await simulation.run()
    assert simulation.instance("child").status.is_final
    if kind == "purged":
        simulation.hub.purge(["child"])
    rewind(simulation)
    await simulation.run()
    assert json.loads(simulation.instance().output or "") == output


@pytest.mark.derived
async def test_a_child_that_still_runs_when_its_failed_parent_is_rewound_answers_once(
    simulate: Simulate,
) -> None:
    simulation = simulate(*failing_once_with_a_child_under_way("completed"))
    simulation.start("parent")
    await simulation._run_instance("i")
    simulation.raise_event("anything", 1)
    await simulation._run_instance("i")
    rewind(simulation)
    await simulation.run()
    assert json.loads(simulation.instance().output or "") == 8
    assert simulation.kinds().count(EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED) == 1


@pytest.mark.parametrize("kind", ["activity", "child"])
async def test_what_was_retried_cannot_be_rewound_as_on_azure(simulate: Simulate, kind: str) -> None:
    """The timers of the retries stay, and nothing asks for them (durabletask issue 811)."""

    def retries(context: Context) -> Steps:
        options = df.RetryOptions(100, 2)
        if kind == "activity":
            wish = {"key": "i", "failures": 2}
            return (yield context.call_activity_with_retry("flaky", options, wish))
        return (yield context.call_sub_orchestrator_with_retry("once_failing", options, None, "child"))

    simulation = simulate(retries, once_failing)
    TRIES["child"] = -1  # so that it fails twice
    simulation.start("retries")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    rewind(simulation)
    await simulation.run()
    assert "Non-Deterministic workflow detected" in str(simulation.instance().output)
    assert "a timer task" in str(simulation.instance().output)


@pytest.mark.derived
async def test_a_child_whose_id_has_gone_to_another_parents_child_is_left_alone(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        return (yield context.call_sub_orchestrator("failing", None, "child"))

    def failing(context: Context) -> Steps:
        wish = {"key": context.parent_instance_id, "failures": 9}
        return (yield context.call_activity("flaky", wish))

    simulation = simulate(parent, failing)
    for instance_id in ("i", "other"):
        simulation.start("parent", instance_id=instance_id)
        await simulation.run()
    assert rewind(simulation).wake_instances == ["i"]
    assert simulation.instance("child").status is Status.FAILED
    await simulation.run()
    assert (simulation.instance().status, TRIES) == (Status.FAILED, {"i": 1, "other": 1})


@pytest.mark.derived
async def test_a_timer_that_was_open_when_the_instance_failed_fires_after_a_rewind(
    simulate: Simulate,
) -> None:
    steps = iter([True, False])

    def waits(context: Context) -> Steps:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        if not next(steps, True):
            context.set_custom_status("x" * 20_000)
        yield timer
        return "fired"

    simulation = simulate(waits)
    simulation.start("waits")
    await simulation._run_instance("i")
    due = simulation.hub.next_timer()
    simulation.raise_event("anything", 1)
    await simulation._run_instance("i")
    assert (simulation.instance().status, simulation.hub.next_timer()) == (Status.FAILED, None)
    assert rewind(simulation).has_timers
    assert simulation.hub.next_timer() == due
    await simulation.run()
    assert simulation.instance().output == '"fired"'
