"""Contract B1, public members: what the decorators of the library declare, and what becomes of it."""

# The decorators of azure-functions-durable are untyped.
# mypy: disable-error-code="untyped-decorator"

from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from devhost.indexing.app_loader import LoadedApp, index_functions
from devhost.indexing.function_binding import FunctionDefinition

pytestmark = pytest.mark.usefixtures("connection")
STORE = "AzureWebJobsStorage"


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORE, "UseDevelopmentStorage=true")


def index(app: Any) -> LoadedApp:
    return index_functions(app.get_functions())


def only_function(app: Any) -> FunctionDefinition:
    loaded = index(app)
    assert not loaded.refused
    (function,) = loaded.functions
    return function


def new_app() -> Any:
    """Any: the decorators of the durable library are untyped."""
    return df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def test_a_route_has_the_functions_name_all_verbs_and_the_apps_level_unless_it_says_otherwise() -> None:
    app = new_app()

    @app.route()
    def plain(req: func.HttpRequest) -> str:
        return ""

    @app.function_name("Said")
    @app.route("there/{id:int?}", methods=["GET", "post"], auth_level=func.AuthLevel.ADMIN)
    def said(req: func.HttpRequest) -> str:
        return ""

    plain_function, said_function = index(app).functions
    assert plain_function.http_path("api") == "api/plain"
    assert plain_function.trigger.properties["authLevel"] == "ANONYMOUS"
    assert not plain_function.trigger.properties.get("methods")
    assert said_function.name == "Said"
    assert said_function.http_path("") == "there/{id:int?}"
    assert said_function.trigger.properties["authLevel"] == "ADMIN"


@pytest.mark.parametrize("decorator", ["schedule", "timer_trigger"])
def test_a_timer_is_declared_under_two_names(decorator: str) -> None:
    app = new_app()

    @getattr(app, decorator)(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=True)
    def tick(timer: func.TimerRequest) -> None: ...

    trigger = only_function(app).trigger
    assert (trigger.type, trigger.properties["schedule"]) == ("timerTrigger", "0 */5 * * * *")
    assert trigger.properties["runOnStartup"] is True


def test_generic_decorators_declare_what_the_named_ones_do() -> None:
    app = new_app()

    @app.generic_trigger(arg_name="msg", type="queueTrigger", queue_name="work", connection=STORE)
    @app.generic_output_binding(arg_name="$return", type="queue", queue_name="done", connection=STORE)
    def generic(msg: func.QueueMessage) -> str:
        return ""

    @app.generic_trigger(arg_name="req", type="httpTrigger", methods=["GET"])
    @app.generic_output_binding(arg_name="$return", type="http")
    def generic_http(req: func.HttpRequest) -> str:
        return ""

    queue, http = index(app).functions
    assert queue.trigger.properties["queueName"] == "work"
    assert queue.signature.return_binding == "queue"
    assert http.http_path("api") == "api/generic_http"
    assert http.trigger.properties["authLevel"] == "ANONYMOUS"


def test_durable_names_are_the_triggers_own_or_the_functions() -> None:
    app = new_app()

    @app.orchestration_trigger(context_name="context", orchestration="Process")
    def process_flow(context: df.DurableOrchestrationContext) -> Any:
        yield

    @app.activity_trigger(input_name="given")
    def step(given: str) -> str:
        return given

    loaded = index(app)
    assert [function.durable_name for function in loaded.functions] == ["Process", "step"]
    assert loaded.functions[0].name == "process_flow"


def test_orchestrators_need_no_durable_app_and_their_parameter_is_called_context() -> None:
    app: Any = func.FunctionApp()

    @app.orchestration_trigger(context_name="context")
    def flow(context: df.DurableOrchestrationContext) -> Any:
        yield

    @app.route(route="start")
    @app.durable_client_input(client_name="client")
    async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
        return func.HttpResponse()

    flow_function, start_function = index(app).functions
    assert flow_function.trigger.type == "orchestrationTrigger"
    assert start_function.signature.converters["client"] == "generic"


def test_data_types_and_retries_are_kept() -> None:
    app = new_app()

    @app.queue_trigger(arg_name="msg", queue_name="work", connection=STORE, data_type=func.DataType.BINARY)
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:05")
    def raw(msg: bytes) -> None: ...

    function = only_function(app)
    assert function.trigger.properties["dataType"] == "BINARY"
    assert function.retry is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda app: app.blob_trigger(arg_name="x", path="c/{n}", connection=STORE),
        lambda app: app.service_bus_queue_trigger(arg_name="x", queue_name="q", connection="C"),
        lambda app: app.service_bus_topic_trigger("x", "C", "topic", "subscription"),
        lambda app: app.event_hub_message_trigger(arg_name="x", connection="C", event_hub_name="e"),
        lambda app: app.cosmos_db_trigger(
            arg_name="x", connection="C", database_name="d", container_name="c"
        ),
        lambda app: app.event_grid_trigger(arg_name="x"),
        lambda app: app.kafka_trigger(arg_name="x", topic="t", broker_list="b"),
        lambda app: app.sql_trigger(arg_name="x", table_name="t", connection_string_setting="C"),
        lambda app: app.mysql_trigger(arg_name="x", table_name="t", connection_string_setting="C"),
        lambda app: app.dapr_topic_trigger(arg_name="x", pub_sub_name="p", topic="t"),
        lambda app: app.warm_up_trigger(arg_name="x"),
        lambda app: app.generic_trigger(arg_name="x", type="rabbitMQTrigger", queue_name="q"),
    ],
)
def test_a_trigger_without_a_listener_is_refused_alone(make: Any) -> None:
    app = new_app()

    @make(app)
    def unheard(x) -> None: ...  # type: ignore[no-untyped-def]

    @app.route()
    def heard(req: func.HttpRequest) -> str:
        return ""

    loaded = index(app)
    assert [function.name for function in loaded.functions] == ["heard"]
    assert loaded.refused["unheard"].startswith("devhost has no listener for the trigger type '")


@pytest.mark.parametrize(
    "make",
    [
        lambda app: app.cosmos_db_output(arg_name="x", connection="C", database_name="d", container_name="c"),
        lambda app: app.service_bus_queue_output(arg_name="x", queue_name="q", connection="C"),
        lambda app: app.event_grid_output(arg_name="x", topic_endpoint_uri="u", topic_key_setting="k"),
        lambda app: app.table_output(arg_name="x", table_name="t", connection=STORE),
        lambda app: app.table_input(arg_name="x", table_name="t", connection=STORE),
        lambda app: app.sql_input(arg_name="x", command_text="select", connection_string_setting="C"),
        lambda app: app.dapr_state_output(arg_name="x", state_store="s", key="k"),
        lambda app: app.generic_output_binding(arg_name="x", type="signalR", hub_name="h"),
    ],
)
def test_a_binding_that_devhost_lacks_refuses_its_function_alone(make: Any) -> None:
    app = new_app()

    @app.route()
    @make(app)
    def bound(req: func.HttpRequest, x) -> str:  # type: ignore[no-untyped-def]
        return ""

    @app.route()
    def unbound(req: func.HttpRequest) -> str:
        return ""

    loaded = index(app)
    assert [function.name for function in loaded.functions] == ["unbound"]
    assert loaded.refused["bound"].startswith("devhost does not know the binding type '")


@pytest.mark.derived
def test_names_that_differ_in_case_only_are_one_name() -> None:
    app = new_app()

    @app.route("one")
    def same(req: func.HttpRequest) -> str:
        return ""

    @app.function_name("SAME")
    @app.route("two")
    def other(req: func.HttpRequest) -> str:
        return ""

    loaded = index(app)
    assert loaded.refused == {"SAME": "The function name 'SAME' must be unique within the function app."}
    assert [function.name for function in loaded.functions] == ["same"]


def test_an_asgi_app_is_one_function_for_all_paths() -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None: ...

    function = only_function(func.AsgiFunctionApp(asgi, http_auth_level=func.AuthLevel.ANONYMOUS))
    assert function.http_path("") == "{*route}"
    assert function.is_async


@pytest.mark.parametrize(
    "name",
    [
        "AzureWebJobs.Named.Disabled",
        "AzureWebJobs__Named__Disabled",
        "AzureWebJobs_Named_Disabled",
        "azurewebjobs.named.disabled",
    ],
)
@pytest.mark.parametrize(
    ("value", "is_disabled"), [("true", True), ("1", True), ("false", False), ("", False)]
)
def test_a_setting_disables_a_function(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, is_disabled: bool
) -> None:
    app = new_app()

    @app.function_name("Named")
    @app.route()
    def named(req: func.HttpRequest) -> str:
        return ""

    monkeypatch.setenv(name, value)
    loaded = index(app)
    assert loaded.functions[0].is_disabled is is_disabled
    assert len(loaded.of_type("httpTrigger")) == (0 if is_disabled else 1)


def test_functions_are_kept_by_their_names_in_any_case() -> None:
    app = new_app()

    @app.route()
    def one(req: func.HttpRequest) -> str:
        return ""

    @app.activity_trigger(input_name="given")
    def two(given: str) -> None: ...

    loaded = index_functions(app.get_functions(), ["ONE"])
    assert [function.name for function in loaded.functions] == ["one"]
    assert loaded.absent_activities == {"two"}
