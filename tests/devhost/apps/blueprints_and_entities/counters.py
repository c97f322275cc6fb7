"""Stock counters: entities, and HTTP functions that signal and read them."""

import json

import azure.durable_functions as df
import azure.functions as func

bp = df.Blueprint()


@bp.entity_trigger(context_name="context", entity_name="Stock")
def stock_entity(context: df.DurableEntityContext):
    left = context.get_state(lambda: 0)
    if context.operation_name == "add":
        left += context.get_input()
    elif context.operation_name == "take":
        wanted = context.get_input()
        if wanted > left:
            raise ValueError(f"only {left} left")
        left -= wanted
    elif context.operation_name == "clear":
        left = 0
    context.set_result(left)
    context.set_state(left)


@bp.route(route="stock/{item}", methods=["POST"])
@bp.durable_client_input(client_name="client")
async def fill_stock(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    entity = df.EntityId("Stock", req.route_params["item"])
    await client.signal_entity(entity, "add", int(req.get_body()))
    return func.HttpResponse(status_code=202)


@bp.route(route="stock/{item}", methods=["GET"])
@bp.durable_client_input(client_name="client")
async def read_stock(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    state = await client.read_entity_state(df.EntityId("Stock", req.route_params["item"]))
    if not state.entity_exists:
        return func.HttpResponse(status_code=404)
    return func.HttpResponse(json.dumps(state.entity_state), mimetype="application/json")
