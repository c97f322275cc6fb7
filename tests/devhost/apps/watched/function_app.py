"""An app to be looked at on the page: some of everything, with names like those of a real one."""

import asyncio
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="orders/{order_id}", methods=["GET"])
async def get_order(req: func.HttpRequest) -> func.HttpResponse:
    if req.route_params["order_id"] == "none":
        raise KeyError("there is no such order")
    await asyncio.sleep(0.02)
    return func.HttpResponse(req.route_params["order_id"])


@app.route(route="nap", methods=["GET", "POST"])
async def take_a_nap(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(float(req.params.get("seconds", "5")))
    return func.HttpResponse("rested")


@app.queue_trigger(arg_name="order", queue_name="orders", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="receipt", queue_name="receipts", connection="AzureWebJobsStorage")
def receive_order(order: func.QueueMessage, receipt: func.Out[str]) -> None:
    text = order.get_body().decode()
    if "<" in text:
        raise ValueError("an order must not contain markup")
    receipt.set(f"received {text}")


@app.timer_trigger(arg_name="timer", schedule="0 0 6 * * Mon-Fri")
async def send_digest(timer: func.TimerRequest) -> None:
    await asyncio.sleep(0.05)


@app.timer_trigger(arg_name="timer", schedule="01:30:00")
async def sweep_stock(timer: func.TimerRequest) -> None:
    raise TimeoutError("the warehouse does not answer")


@app.orchestration_trigger(context_name="context")
def fulfil_order(context: df.DurableOrchestrationContext):
    order = context.get_input() or {}
    context.set_custom_status({"step": "reserving", "items": len(order.get("items", []))})
    parts = [context.call_activity("reserve_item", item) for item in order.get("items", [])]
    yield context.task_all(parts)
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=300))
    payment = yield context.call_sub_orchestrator("take_payment", order)
    if order.get("waits"):
        context.set_custom_status({"step": "waiting for the courier"})
        yield context.wait_for_external_event("picked_up")
    sent = yield context.call_activity("notify_customer", order.get("customer", ""))
    return {"payment": payment, "sent": sent}


@app.orchestration_trigger(context_name="context")
def take_payment(context: df.DurableOrchestrationContext):
    options = df.RetryOptions(first_retry_interval_in_milliseconds=200, max_number_of_attempts=3)
    return (yield context.call_activity_with_retry("charge_card", options, context.get_input()))


@app.activity_trigger(input_name="item")
async def reserve_item(item: str) -> str:
    await asyncio.sleep(0.1 + len(item) * 0.02)
    return f"{item} reserved"


@app.activity_trigger(input_name="order")
async def charge_card(order: dict) -> str:
    await asyncio.sleep(0.15)
    if order.get("card") == "stolen":
        raise PermissionError("the card was reported stolen")
    return "paid"


@app.activity_trigger(input_name="customer")
async def notify_customer(customer: str) -> str:
    await asyncio.sleep(0.05)
    return f"sent to {customer}"


@app.route(route="stock/{item}/{count:int}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def add_stock(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    shelf = df.EntityId("shelf", req.route_params["item"])
    await client.signal_entity(shelf, "add", int(req.route_params["count"]))
    return func.HttpResponse(status_code=202)


@app.entity_trigger(context_name="context")
def shelf(context: df.DurableEntityContext) -> None:
    count = context.get_state(lambda: 0)
    if context.operation_name == "add":
        context.set_state(count + context.get_input())
