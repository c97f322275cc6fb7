"""One function of every kind that the host runs."""

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import List  # noqa: UP035 (the library reads typing's generics only)

import azure.durable_functions as df
import azure.functions as func
from durable import durable

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(durable)


@app.route(route="hello/{name?}", methods=["GET"])
def hello(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    name = req.route_params.get("name", "nobody")
    response = func.HttpResponse(f"{os.environ['GREETING']}, {name}; {req.params.get('q')}", status_code=201)
    response.headers["X-Function"] = context.function_name
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; Path=/")
    return response


@app.route(route="echo", methods=["POST", "PUT"])
async def echo(req: func.HttpRequest) -> str:
    return f"{req.method} {req.headers['x-test']} {req.get_body().decode()}"


@app.route(route="fails")
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("a secret in the message")


@app.route(route="nothing")
async def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None


@app.route(route="answers")
async def answers(req: func.HttpRequest) -> func.HttpResponse:
    headers = {name: value for name, value in req.params.items() if name != "status"}
    return func.HttpResponse("body", status_code=int(req.params["status"]), headers=headers)


@app.route(route="slow")
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(float(req.params["seconds"]))
    return func.HttpResponse("done at last")


@app.route(route="switched-off")
async def switched_off(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("never seen")


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    body = req.get_body()
    instance_id = await client.start_new(
        req.route_params["name"], req.params.get("id"), req.get_json() if body else None
    )
    return client.create_check_status_response(req, instance_id)


@app.route(route="put", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="%WorkQueue%", connection="AzureWebJobsStorage")
async def put(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set(req.get_body().decode())
    return func.HttpResponse(status_code=202)


@app.route(route="put-many", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="%WorkQueue%", connection="AzureWebJobsStorage")
async def put_many(req: func.HttpRequest, out: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006
    out.set([str(item) for item in req.get_json()])
    return func.HttpResponse(status_code=202)


@app.queue_trigger(arg_name="message", queue_name="%WorkQueue%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    logging.info("work got %s (dequeued %d)", text, message.dequeue_count)
    note("work", f"{text} {message.dequeue_count}")
    if text.startswith("bad"):
        raise ValueError("this message is bad")
    if text.startswith("sleep"):
        time.sleep(float(text.split()[1]))
        note("work", f"{text} done")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def yearly(timer: func.TimerRequest) -> None:
    note("yearly", f"past_due={timer.past_due} {sorted(timer.schedule_status)}")


def note(kind: str, text: str) -> None:
    """Append a line to a file that the test reads; nowhere when it does not ask."""
    directory = os.environ.get("NOTES")
    if directory:
        with Path(directory, kind).open("a") as file:
            file.write(text + "\n")
