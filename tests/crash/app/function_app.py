"""One orchestrator for each way in which durable work can wait, and a queue whose messages start some."""

import asyncio
import os
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

NOTES = Path(os.environ["NOTES"])
OFTEN = df.RetryOptions(first_retry_interval_in_milliseconds=200, max_number_of_attempts=6)
Steps = Generator[Any, Any, Any]

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def note(key: str, *, file: str = "activities") -> None:
    """Leave one line, whole or not at all; a killed process loses none that it wrote."""
    descriptor = os.open(NOTES / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, f"{key}\n".encode())
    finally:
        os.close(descriptor)


def tries(key: str) -> int:
    """Count one more try, over all processes, and say how many there were."""
    with (NOTES / f"tries-{key.replace('/', '-')}").open("ab") as file:
        file.write(b".")
        return file.tell()


def pause(context: Any, given: dict) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=given["pause"]))


def call(context: Any, key: object, left: int, right: int) -> Any:
    step = {"note": f"{context.instance_id}/{key}", "left": left, "right": right}
    return context.call_activity("add" if right % 2 else "add_in_a_thread", step)


@app.activity_trigger(input_name="step")
async def add(step: dict) -> int:
    note(step["note"])
    await asyncio.sleep(0.05 * (step["right"] % 5))
    return step["left"] + step["right"]


@app.activity_trigger(input_name="step")
def add_in_a_thread(step: dict) -> int:
    note(step["note"])
    time.sleep(0.05 * (step["right"] % 5))
    return step["left"] + step["right"]


@app.activity_trigger(input_name="wish")
def flaky(wish: dict) -> str:
    note(wish["note"])
    if tries(wish["note"]) <= wish["failures"]:
        raise ValueError("not yet")
    return "at last"


@app.activity_trigger(input_name="key")
def breaks(key: str) -> str:
    note(key)
    raise ValueError("as planned")


@app.orchestration_trigger(context_name="context")
def chain(context: Any) -> Steps:
    given = context.get_input()
    total = 0
    for index, number in enumerate(given["numbers"]):
        total = yield call(context, index, total, number)
        yield pause(context, given)
    return total


@app.orchestration_trigger(context_name="context")
def fan_out(context: Any) -> Steps:
    given = context.get_input()
    sums = []
    for wave in range(2):
        calls = [call(context, f"{wave}.{index}", wave, n) for index, n in enumerate(given["numbers"])]
        sums.append((yield context.task_all(calls)))
        yield pause(context, given)
    return sums


@app.orchestration_trigger(context_name="context")
def timers(context: Any) -> Steps:
    given = context.get_input()
    for _ in given["numbers"]:
        yield pause(context, given)
    far = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    work = call(context, "work", 0, given["numbers"][0])
    winner = yield context.task_any([far, work])
    far.cancel()
    soon = pause(context, given)
    never = context.wait_for_external_event("never")
    second = yield context.task_any([soon, never])
    return [winner == work, second == soon]


@app.orchestration_trigger(context_name="context")
def events(context: Any) -> Steps:
    given = context.get_input()
    seen = []
    for index, name in enumerate(given["names"]):
        seen.append((yield context.wait_for_external_event(name)))
        context.set_custom_status({"seen": index + 1})
        yield call(context, index, index, 1)
    return seen


@app.orchestration_trigger(context_name="context")
def family(context: Any) -> Steps:
    given = context.get_input()
    children = [
        context.call_sub_orchestrator("child", {"number": n, "pause": given["pause"]})
        for n in given["numbers"]
    ]
    doubled = yield context.task_all(children)
    last = yield context.call_sub_orchestrator_with_retry(
        "flaky_child", OFTEN, {"failures": given["failures"]}, f"{context.instance_id}-child"
    )
    return [doubled, last]


@app.orchestration_trigger(context_name="context")
def child(context: Any) -> Steps:
    given = context.get_input()
    yield pause(context, given)
    doubled = yield context.call_activity(
        "add", {"note": "child", "left": given["number"], "right": given["number"]}
    )
    yield pause(context, given)
    return doubled


@app.orchestration_trigger(context_name="context")
def flaky_child(context: Any) -> Steps:
    given = context.get_input()
    wish = {"note": f"{context.instance_id}/flaky", "failures": given["failures"]}
    return (yield context.call_activity("flaky", wish))


@app.orchestration_trigger(context_name="context")
def counting(context: Any) -> Steps:
    given = context.get_input()
    mine, shared = df.EntityId("counter", context.instance_id), df.EntityId("counter", given["shared"])
    totals = []
    for number in given["numbers"]:
        totals.append((yield context.call_entity(mine, "add", number)))
        context.signal_entity(shared, "add", number)
        yield pause(context, given)
    totals.append((yield context.call_entity(mine, "get")))
    return totals


@app.orchestration_trigger(context_name="context")
def rounds(context: Any) -> Steps:
    given = context.get_input()
    index, numbers = given["index"], given["numbers"]
    total = yield call(context, index, given["total"], numbers[index])
    context.signal_entity(df.EntityId("counter", given["shared"]), "add", numbers[index])
    yield pause(context, given)
    if index + 1 == len(numbers):
        return total
    context.continue_as_new(given | {"index": index + 1, "total": total})


@app.orchestration_trigger(context_name="context")
def retries(context: Any) -> Steps:
    given = context.get_input()
    wish = {"note": f"{context.instance_id}/flaky", "failures": given["failures"]}
    first = yield context.call_activity_with_retry("flaky", OFTEN, wish)
    yield pause(context, given)
    return first


@app.orchestration_trigger(context_name="context")
def fails(context: Any) -> Steps:
    given = context.get_input()
    for _ in range(3):
        yield pause(context, given)
    yield context.call_activity("breaks", f"{context.instance_id}/breaks")


@app.orchestration_trigger(context_name="context")
def mixture(context: Any) -> Steps:
    given = context.get_input()
    (name,), number = given["names"], given["numbers"][0]
    together = [
        call(context, "first", 1, number),
        context.wait_for_external_event(name),
        pause(context, given),
        context.call_sub_orchestrator("child", {"number": number, "pause": given["pause"]}),
        context.call_entity(df.EntityId("counter", context.instance_id), "add", number),
    ]
    done = yield context.task_all(together)
    last = yield call(context, "last", done[0], number)
    return [done[1], done[3], done[4], last]


@app.entity_trigger(context_name="context")
def counter(context: Any) -> None:
    total = context.get_state(lambda: 0)
    if context.operation_name == "add":
        total += context.get_input()
        context.set_state(total)
    context.set_result(total)


@app.queue_trigger(arg_name="message", queue_name="orders", connection="AzureWebJobsStorage")
@app.durable_client_input(client_name="client")
async def take_order(message: func.QueueMessage, client: df.DurableOrchestrationClient) -> None:
    order = message.get_json()
    status = await client.get_status(order["id"])
    if not status:  # a message that comes again starts nothing anew, even when the first has ended
        await client.start_new("chain", order["id"], order["given"])
    note(order["id"], file="messages")
