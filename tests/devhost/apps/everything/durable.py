"""Orchestrations and activities of the fixture app."""

import os
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df

durable = df.Blueprint()


@durable.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    total = 0
    for number in range(context.get_input() or 3):
        total = yield context.call_activity("add", [total, number])
    return total


@durable.orchestration_trigger(context_name="context")
def retries(context: df.DurableOrchestrationContext):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=3)
    first = yield context.call_activity_with_retry(
        "fail_until", options, {"key": context.instance_id, "until": 3}
    )
    try:
        yield context.call_activity_with_retry("boom", options, "x")
    except Exception as error:  # noqa: BLE001 (the SDK raises nothing finer)
        return {"first": first, "error": str(error).splitlines()[0]}
    return "not reached"


@durable.orchestration_trigger(context_name="context")
def fan(context: df.DurableOrchestrationContext):
    tasks = [context.call_activity("add", [n, n]) for n in range(context.get_input() or 5)]
    results = yield context.task_all(tasks)
    return sum(results)


@durable.orchestration_trigger(context_name="context")
def approval(context: df.DurableOrchestrationContext):
    seconds = context.get_input() or 60
    context.set_custom_status("waiting")
    timeout = context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
    event = context.wait_for_external_event("approve")
    winner = yield context.task_any([timeout, event])
    if winner == event:
        timeout.cancel()
        done = yield context.call_activity("add", [1, 1])
        return {"approved": event.result, "done": done}
    return "timed out"


@durable.orchestration_trigger(context_name="context")
def counter(context: df.DurableOrchestrationContext):
    seen = context.get_input() or []
    value = yield context.wait_for_external_event("next")
    seen.append(value)
    if len(seen) == 3:
        return seen
    context.continue_as_new(seen)


@durable.orchestration_trigger(context_name="context")
def mixed(context: df.DurableOrchestrationContext):
    """A chain with retries, a timer and an event in flight: what the kill test runs."""
    number = context.get_input()
    options = df.RetryOptions(first_retry_interval_in_milliseconds=50, max_number_of_attempts=4)
    key = f"{context.instance_id}"
    first = yield context.call_activity_with_retry(
        "fail_until", options, {"key": key, "until": 1 + number % 3}
    )
    total = first
    for step in range(4):
        total = yield context.call_activity("add", [total, number + step])
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=300))
    go = yield context.wait_for_external_event("go")
    both = yield context.task_all([context.call_activity("add", [total, n]) for n in range(3)])
    return {"go": go, "sum": sum(both)}


@durable.orchestration_trigger(context_name="context")
def unknown_activity(context: df.DurableOrchestrationContext):
    yield context.call_activity("not_there", 1)


@durable.orchestration_trigger(context_name="context")
def fails_itself(context: df.DurableOrchestrationContext):
    yield context.call_activity("add", [1, 2])
    raise ValueError("the orchestrator gave up")


@durable.orchestration_trigger(context_name="context")
def with_child(context: df.DurableOrchestrationContext):
    return (yield context.call_sub_orchestrator("chain", 4))


@durable.orchestration_trigger(context_name="context")
def waits(context: df.DurableOrchestrationContext):
    yield context.wait_for_external_event("never")


@durable.activity_trigger(input_name="pair")
def add(pair: list) -> int:
    return pair[0] + pair[1]


@durable.activity_trigger(input_name="text")
async def boom(text: str) -> str:
    raise ValueError(f"boom {text}")


@durable.activity_trigger(input_name="wish")
def fail_until(wish: dict) -> int:
    """Fails until it was called `until` times for its key; counts in files, which outlive a kill."""
    path = Path(os.environ["NOTES"], f"tries-{wish['key']}")
    with path.open("a") as file:
        file.write(".")
    if len(path.read_text()) < wish["until"]:
        raise ValueError("not yet")
    return wish["until"]
