"""B5.3, what an orchestrator gives back: its actions, its errors, its status."""

from typing import Any

import azure.durable_functions as df
import pytest
from azure.durable_functions.models.actions.Action import Action
from azure.functions.meta import Datum

from devhost.durable.history import EventType, Status
from devhost.durable.orchestrator_reply import OrchestratorCrash, OrchestratorReply, read_reply
from devhost.invocation.invoker import InvocationResult
from tests.devhost.orchestrations import SDK_WARNINGS, Context, Simulate, Steps

pytestmark = SDK_WARNINGS


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


def result(text: str | None = None, error: Exception | None = None) -> InvocationResult:
    return InvocationResult("id", Datum(text, "string") if text is not None else None, error)


def test_a_state_is_read_with_its_actions_in_one_list() -> None:
    text = (
        '{"isDone":true,"schemaVersion":2,"actions":[[{"actionType":0}],[{"actionType":5}]],'
        '"output":{"a": 1},"customStatus":[1]}'
    )
    reply = read_reply(result(text))
    assert isinstance(reply, OrchestratorReply)
    assert [action["actionType"] for action in reply.actions] == [0, 5]
    assert (reply.is_done, reply.output, reply.error, reply.custom_status) == (True, '{"a":1}', None, "[1]")


def test_an_error_carries_its_state_behind_the_label() -> None:
    state = '{"isDone":false,"actions":[[]],"error":"boom $OutOfProcData$: no"}'
    reply = read_reply(result(error=Exception(f"boom\n\n$OutOfProcData$:{state}")))
    assert isinstance(reply, OrchestratorReply)
    assert reply.error == "boom $OutOfProcData$: no"


@pytest.mark.derived
@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (None, ValueError("at once"), "Exception: ValueError: at once\nStack: "),
        (None, None, "returned no orchestration state"),
        ("no json", None, "returned no orchestration state"),
        ("[]", None, "returned no orchestration state"),
        ('{"isDone":true}', None, "returned no orchestration state"),
    ],
)
def test_what_is_no_state_is_a_crash(text: str | None, error: Exception | None, says: str) -> None:
    reply = read_reply(result(text, error))
    assert isinstance(reply, OrchestratorCrash)
    assert reply.text.startswith("One or more errors occurred. (Result: Failure\nException: ")
    assert says in reply.text


async def test_an_action_that_no_host_knows_fails_the_instance(simulate: Simulate) -> None:
    def plain(context: Context) -> Any:
        context._action_payload_v2.append(Odd())
        return 1

    simulation = simulate(plain)
    simulation.start("plain")
    await simulation.run()
    assert simulation.instance().status is Status.FAILED
    assert "devhost does not know the orchestration action 99" in str(simulation.instance().output)


class Odd(Action):  # type: ignore[misc]  # the SDK ships no types
    """An action of an SDK to come."""

    @property
    def action_type(self) -> int:
        return 99

    def to_json(self) -> dict[str, Any]:
        return {"actionType": 99}
