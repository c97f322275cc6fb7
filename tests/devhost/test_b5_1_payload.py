"""B5.1, what an orchestrator function is called with."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from azure.functions.meta import Datum

from devhost.durable.history import Status, execution_started
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import InvocationResult, Invoker
from tests.devhost.orchestrations import SDK_WARNINGS, Context, Simulate, Steps
from tests.devhost.simulation import Simulation

pytestmark = SDK_WARNINGS


class Listening(Invoker):
    """Keeps what orchestrators are called with and what they return."""

    def __init__(self) -> None:
        super().__init__("/", None)
        self.payloads: list[dict[str, Any]] = []
        self.replies: list[dict[str, Any]] = []

    async def invoke(
        self, function: FunctionDefinition, value: Datum, metadata: Mapping[str, Datum] | None = None
    ) -> InvocationResult:
        result = await super().invoke(function, value, metadata)
        if function.trigger.type == "orchestrationTrigger":
            self.payloads.append(json.loads(str(value.value)))
            if result.returned is not None:
                self.replies.append(json.loads(str(result.returned.value)))
        return result


def listening(simulation: Simulation) -> Listening:
    invoker = Listening()
    simulation._invoker = invoker
    return invoker


def chain(context: Context) -> Steps:
    yield context.call_activity("double", 1)


async def test_a_payload_has_exactly_these_members(simulate: Simulate) -> None:
    simulation = simulate(chain)
    invoker = listening(simulation)
    simulation.start("chain", {"a": 1})
    await simulation.run()
    first, second = invoker.payloads
    assert {key: value for key, value in first.items() if key != "history"} == {
        "input": '{"a":1}',
        "instanceId": "i",
        "isReplaying": False,
        "parentInstanceId": None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }
    assert [item["EventType"] for item in first["history"]] == [12, 0]
    assert [item["EventType"] for item in second["history"]] == [12, 0, 4, 13, 12, 5]
    assert all(reply["schemaVersion"] == 2 for reply in invoker.replies)


async def test_the_past_is_marked_as_played_and_the_new_events_are_not(simulate: Simulate) -> None:
    simulation = simulate(chain)
    invoker = listening(simulation)
    simulation.start("chain")
    await simulation.run()
    played = [item["IsPlayed"] for item in invoker.payloads[1]["history"]]
    assert played == [False, True, True, True, False, False]  # OrchestratorStarted never is


async def test_a_child_is_told_its_parents_id(simulate: Simulate) -> None:
    def parent(context: Context) -> Steps:
        yield context.call_sub_orchestrator("chain", None, "child")

    simulation = simulate(parent, chain)
    invoker = listening(simulation)
    simulation.start("parent")
    await simulation.run()
    parents = {payload["instanceId"]: payload["parentInstanceId"] for payload in invoker.payloads}
    assert parents == {"i": None, "child": "i"}


@pytest.mark.parametrize(
    ("stored", "token"),
    [
        (None, None),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"a": 1}', {"a": 1}),
        ("[1]", [1]),
        ("true", True),
        ("no json", "no json"),
    ],
)
async def test_the_input_is_the_token_of_the_stored_text(
    simulate: Simulate, stored: str | None, token: object
) -> None:
    simulation = simulate(chain)
    invoker = listening(simulation)
    begin(simulation, "chain", stored)
    await simulation.step()
    assert invoker.payloads[0]["input"] == token


@pytest.mark.parametrize(
    ("stored", "ends", "says"),
    [
        ('"{\\"a\\": 1}"', Status.COMPLETED, '{"a":1}'),
        ('{"a": 1}', Status.COMPLETED, '{"a":1}'),
        ("[1]", Status.FAILED, "the JSON object must be str, bytes or bytearray, not list"),
        ("7", Status.FAILED, "the JSON object must be str, bytes or bytearray, not int"),
        ("true", Status.FAILED, "the JSON object must be str, bytes or bytearray, not bool"),
        ('"plain"', Status.FAILED, "Expecting value: line 1 column 1 (char 0)"),
    ],
)
async def test_what_was_not_started_by_the_sdk_meets_the_sdks_reading_of_its_input(
    simulate: Simulate, stored: str, ends: Status, says: str
) -> None:
    def reads(context: Context) -> Any:
        return context.get_input()

    simulation = simulate(reads)
    begin(simulation, "reads", stored)
    await simulation.run()
    assert simulation.instance().status is ends
    assert says in str(simulation.instance().output)


def begin(simulation: Simulation, name: str, stored: str | None) -> None:
    started = execution_started("i", "i-1", name, stored, simulation.now)
    simulation.hub.create_instance("i", "i-1", name, started, simulation.now)
