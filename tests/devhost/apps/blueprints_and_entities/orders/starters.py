"""The ways an order begins."""

import azure.durable_functions as df
import azure.functions as func

bp = df.Blueprint()


@bp.route(route="orders/{order_id}", methods=["PUT"])
@bp.durable_client_input(client_name="starter")
async def place_order(req: func.HttpRequest, starter) -> func.HttpResponse:
    order_id = req.route_params["order_id"]
    await starter.start_new("place_order_flow", instance_id=order_id, client_input=req.get_json())
    return starter.create_check_status_response(req, order_id)


@bp.route(route="orders/{order_id}/paid", methods=["POST"])
@bp.durable_client_input(client_name="starter")
async def pay(req: func.HttpRequest, starter) -> func.HttpResponse:
    await starter.raise_event(req.route_params["order_id"], "Paid", int(req.get_body()))
    return func.HttpResponse(status_code=202)
