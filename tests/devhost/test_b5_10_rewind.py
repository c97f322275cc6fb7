"""B5.10, rewind: what failed is taken back, and the rest is replayed."""

import json
from typing import Any

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
