"""An app whose one HTTP function calls any method of the durable client, and something for it to act on."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus
from azure.durable_functions.models.EntityStateResponse import EntityStateResponse
from azure.durable_functions.models.PurgeHistoryResult import PurgeHistoryResult

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="client/{method}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def call_client(
    req: func.HttpRequest, client: df.DurableOrchestrationClient, context: func.Context
) -> func.HttpResponse:
    """Body: the method's keyword arguments. The answer is what it returned or raised, as JSON."""
    arguments = {name: _argument(name, value) for name, value in (req.get_json() or {}).items()}
    method = getattr(client, req.route_params["method"])
    try:
        result = method(**arguments)
        if hasattr(result, "__await__"):
            result = await result
    except Exception as error:  # noqa: BLE001 (the test asks what the client raises)
        return _json({"raised": str(error)})
    return result if isinstance(result, func.HttpResponse) else _json({"returned": _shown(result)})


@app.route(route="wait/{instance}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def wait(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    return await client.wait_for_completion_or_create_check_status_response(
        req,
        req.route_params["instance"],
        timeout_in_milliseconds=int(req.params["timeout"]),
        retry_interval_in_milliseconds=50,
    )


@app.route(route="check/{instance}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def check(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    return client.create_check_status_response(req, req.route_params["instance"])


@app.route(route="binding", methods=["GET"])
@app.generic_input_binding(
    arg_name="client", type="durableClient", taskHub="OtherHub", connectionName="Other"
)
async def binding(req: func.HttpRequest, client: str) -> func.HttpResponse:
    """The raw value of a durableClient binding that names a hub and a connection."""
    return func.HttpResponse(client, mimetype="application/json")


def _argument(name: str, value: object) -> object:
    if name == "entityId":
        return df.EntityId(*value)
    if name in ("created_time_from", "created_time_to"):
        return datetime.fromisoformat(value)
    if name == "runtime_status":
        return [df.OrchestrationRuntimeStatus[item] for item in value]
    return value


def _shown(result: object) -> object:
    if isinstance(result, list):
        return [_shown(item) for item in result]
    if isinstance(result, DurableOrchestrationStatus):
        events = getattr(result, "historyEvents", None)
        return {"found": True, **result.to_json(), "events": events} if result else {"found": False}
    if isinstance(result, PurgeHistoryResult):
        return result.instances_deleted
    if isinstance(result, EntityStateResponse):
        return {"exists": result.entity_exists, "state": result.entity_state}
    return result


def _json(value: object) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(value), mimetype="application/json")


@app.orchestration_trigger(context_name="context")
def echo(context: df.DurableOrchestrationContext):
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def waits(context: df.DurableOrchestrationContext):
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def fails_once(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("fail_once", context.instance_id))


@app.orchestration_trigger(context_name="context")
def of_all_kinds(context: df.DurableOrchestrationContext):
    """One event of each kind that an orchestration that ends well can have in its history."""
    yield context.call_activity("double", 4)
    try:
        yield context.call_activity("fail_always", "x")
    except Exception:  # noqa: BLE001 (the SDK raises nothing finer)
        context.set_custom_status("failed as it should")
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=10))
    yield context.call_sub_orchestrator("echo", {"a": 1}, f"{context.instance_id}-child")
    context.signal_entity(df.EntityId("counter", context.instance_id), "add", 1)
    yield context.call_entity(df.EntityId("counter", context.instance_id), "add", 2)
    yield context.wait_for_external_event("go")
    return "done"


@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input() or 0
        context.set_state(value)
        context.set_result(value)
    if context.operation_name == "delete":
        context.destruct_on_exit()


@app.activity_trigger(input_name="number")
def double(number: int) -> int:
    return 2 * number


@app.activity_trigger(input_name="text")
def fail_always(text: str) -> str:
    raise ValueError(f"no {text}")


@app.activity_trigger(input_name="key")
def fail_once(key: str) -> str:
    """Fails at the first call for a key; its memory is a file."""
    mark = Path(os.environ["NOTES"], f"failed-{key}")
    if mark.exists():
        return "mended"
    mark.touch()
    raise ValueError("the first time it fails")
