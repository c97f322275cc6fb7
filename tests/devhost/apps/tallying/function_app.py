"""An app of entities that keep all that they were told, in its order."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.entity_trigger(context_name="context", entity_name="Tally")
def keeps(context: df.DurableEntityContext):
    told = context.get_state(list)
    if context.operation_name == "note":
        told.append(context.get_input())
        context.set_state(told)
        context.set_result(len(told))
    elif context.operation_name == "forget":
        context.destruct_on_exit()


@app.orchestration_trigger(context_name="context")
def tells(context: df.DurableOrchestrationContext):
    """Tells the shared tally and its own, by turns with signals and calls."""
    me = context.instance_id
    shared, own = df.EntityId("Tally", "shared"), df.EntityId("Tally", me)
    for number in range(8):
        context.signal_entity(shared, "note", [me, number, "signal"])
        yield context.task_all(
            [
                context.call_entity(shared, "note", [me, number, "call"]),
                context.call_entity(own, "note", number),
            ]
        )
    return (yield context.call_entity(own, "note", "end"))


@app.route(route="tell/{key}/{operation}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def tell(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Signals with the request's JSON."""
    entity = df.EntityId("Tally", req.route_params["key"])
    await client.signal_entity(entity, req.route_params["operation"], req.get_json())
    return func.HttpResponse(status_code=202)
