"""B5.7, activities: what they are given, their results and failures, and their retries."""

import json
from datetime import timedelta

import azure.durable_functions as df
import pytest

from devhost.durable.activity import activity_value
from devhost.durable.history import EventType, Status, parse_utc
from tests.devhost.orchestrations import SDK_WARNINGS, TRIES, Context, Simulate, Steps
from tests.devhost.simulation import START

pytestmark = SDK_WARNINGS


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


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        (None, "null"),
        ("[]", "null"),
        ('["\\"Tokyo\\""]', '"Tokyo"'),
        ('["{\\"a\\": 1}"]', '{"a": 1}'),
        ('[{"a": [1, 2]}]', '{"a":[1,2]}'),
        ("[1.5]", "1.5"),
        ("[null]", "null"),
    ],
)
def test_an_activity_is_given_the_content_of_the_one_element(stored: str | None, value: str) -> None:
    datum = activity_value(stored)
    assert (datum.type, datum.value) == ("string", value)


async def test_an_input_is_stored_as_an_array_of_one_text(simulate: Simulate) -> None:
    def asks(context: Context) -> Steps:
        yield context.call_activity("echo", {"city": "T\u014dky\u014d"})
        yield context.call_activity("echo")

    simulation = simulate(asks)
    simulation.start("asks")
    await simulation.run()
    scheduled = [item["Input"] for item in simulation.history() if item["EventType"] == 4]
    assert [json.loads(json.loads(text)[0]) for text in scheduled] == [{"city": "T\u014dky\u014d"}, None]
    results = [item["Result"] for item in simulation.history() if item["EventType"] == 5]
    assert [json.loads(text) for text in results] == [{"city": "T\u014dky\u014d"}, None]
    assert results[1] == "null"


@pytest.mark.derived
async def test_details_are_the_exception_as_dotnet_writes_it(simulate: Simulate) -> None:
    def fails(context: Context) -> Steps:
        yield context.call_activity("flaky", {"key": "k", "failures": 9})

    simulation = simulate(fails)
    simulation.start("fails")
    await simulation.run()
    (failed,) = [item for item in simulation.history() if item["EventType"] == EventType.TASK_FAILED]
    assert failed["FailureDetails"] is None
    details = json.loads(failed["Details"])
    inner = details.pop("InnerException")
    assert details["$type"] == "System.Exception, System.Private.CoreLib"
    assert details["ClassName"] == "System.Exception"
    assert details["Message"] == " ValueError: try 1"
    assert inner["ClassName"] == "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException"
    assert inner["InnerException"] is None
    assert {details["HResult"], inner["HResult"]} == {-2146233088}


async def test_a_result_that_comes_twice_counts_once(simulate: Simulate) -> None:
    def asks(context: Context) -> Steps:
        first = yield context.call_activity("double", 1)
        second = yield context.call_activity("double", 2)
        return [first, second]

    simulation = simulate(asks)
    simulation.start("asks")
    await simulation.step()
    (work,) = simulation.hub.pending_activities()
    await simulation._run_activity(work)
    await simulation._run_activity(work)
    await simulation.run()
    assert simulation.instance().output == "[2,4]"


async def test_a_failure_that_lost_a_race_is_no_failure_of_the_instance(simulate: Simulate) -> None:
    def races(context: Context) -> Steps:
        calls = [
            context.call_activity("double", 1),
            context.call_activity("flaky", {"key": "k", "failures": 9}),
        ]
        return (yield context.task_any(calls)).result

    simulation = simulate(races)
    simulation.start("races")
    await simulation.run()
    assert (simulation.instance().status, simulation.instance().output) == (Status.COMPLETED, "2")


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_call_that_succeeds_at_its_last_attempt_succeeds(simulate: Simulate, attempts: int) -> None:
    def stubborn(context: Context) -> Steps:
        options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=attempts)
        wish = {"key": "k", "failures": attempts - 1}
        first = yield context.call_activity_with_retry("flaky", options, wish)
        return [first, (yield context.call_activity("double", 1))]

    simulation = simulate(stubborn)
    simulation.start("stubborn")
    await simulation.run()
    assert simulation.instance().output == '["at last",2]'
    assert {"k": attempts} == TRIES
