"""What the benches of devhost run: a chain, a fan-out and a wait, all as small as they can be."""

from datetime import datetime

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    number = context.get_input()
    for _ in range(3):
        number = yield context.call_activity("add", number)
    return number


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext):
    number = context.get_input()
    results = yield context.task_all([context.call_activity("add", number) for _ in range(100)])
    return sum(results)


@app.orchestration_trigger(context_name="context")
def wait(context: df.DurableOrchestrationContext):
    yield context.create_timer(datetime.fromisoformat(context.get_input()))


@app.activity_trigger(input_name="number")
def add(number: int) -> int:
    return number + 1


@app.route(route="hello")
async def hello(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 (the binding's name)
    return func.HttpResponse("hello")
