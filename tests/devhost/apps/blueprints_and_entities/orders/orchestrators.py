"""What happens to an order over time."""

from datetime import timedelta

import azure.durable_functions as df

bp = df.Blueprint()


@bp.orchestration_trigger(context_name="context")
def place_order_flow(context: df.DurableOrchestrationContext):
    order = context.get_input()
    lines = order["lines"]
    prices = yield context.task_all(
        [
            context.call_sub_orchestrator("order_line", line, f"{context.instance_id}:{n}")
            for n, line in enumerate(lines)
        ]
    )
    total = sum(prices)
    context.set_custom_status({"due": total})
    paid = context.wait_for_external_event("Paid")
    patience = context.create_timer(
        context.current_utc_datetime + timedelta(seconds=order.get("patience", 60))
    )
    first = yield context.task_any([paid, patience])
    if first == patience:
        yield context.call_activity("tell", f"{context.instance_id} is not paid")
        return {"state": "cancelled", "total": total}
    patience.cancel()
    receipt = yield context.call_activity_with_retry(
        "write_receipt", df.RetryOptions(100, 3), {"order": context.instance_id, "total": total}
    )
    return {"state": "paid", "total": total, "receipt": receipt}


@bp.orchestration_trigger(context_name="context", orchestration="order_line")
def price_of_a_line(context: df.DurableOrchestrationContext):
    line = context.get_input()
    stock = df.EntityId("Stock", line["item"])
    left = yield context.call_entity(stock, "take", line["count"])
    context.signal_entity(df.EntityId("Stock", "sold"), "add", line["count"])
    price = yield context.call_activity("price_of", line["item"])
    context.set_custom_status(f"{left} left")
    return price * line["count"]
