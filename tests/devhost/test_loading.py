"""What of an app is loaded, what is refused, and with which words."""

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, List  # noqa: UP035 (the library reads typing's generics only)

import azure.functions as func
import pytest

from devhost.app_settings import app_setting, resolve_tokens
from devhost.banner import differences
from devhost.command.local_settings import apply_local_settings, read_local_settings
from devhost.durable.dispatcher import usual_concurrency
from devhost.errors import AppLoadError, FunctionRefused, HostStartError
from devhost.host import most_at_once
from devhost.host_json import HostJson
from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.binding_rules import check_function, check_route_conflict
from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.indexing.function_signature import read_signature
from devhost.queue.queue_settings import QueueSettings
from devhost.storage.storage_connection import connection_string
from tests.devhost.conftest import StartHost


def http(name: str = "req", **properties: Any) -> Binding:
    return Binding(name, "httpTrigger", "IN", {"route": "r", **properties})


def queue(name: str = "msg", kind: str = "queueTrigger", direction: str = "IN", **properties: Any) -> Binding:
    return Binding(name, kind, direction, {"queueName": "work", "connection": "Store", **properties})


@pytest.fixture(autouse=True)
def storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Store", "UseDevelopmentStorage=true")


@pytest.mark.parametrize(
    ("name", "binding", "reason"),
    [
        ("two words", http(), "not a valid function name"),
        ("host", http(), "not a valid function name"),
        ("fine", http("two__scores"), "binding name two__scores is invalid"),
        ("fine", http("1st"), "binding name 1st is invalid"),
        ("fine", http(route="admin/x"), "conflicts with one or more built in routes"),
        ("fine", http(route="Runtime"), "conflicts with one or more built in routes"),
        ("fine", http(route="{a"), "route template"),
        ("fine", queue(queueName="No"), "queue name 'No' is not valid"),
        ("fine", queue(queueName="%Nowhere%"), "'%Nowhere%' does not resolve to a value."),
        ("fine", queue(connection="Missing"), "'AzureWebJobsMissing' does not exist"),
        (
            "fine",
            Binding("t", "timerTrigger", "IN", {"schedule": "daily"}),
            "was not recognized as a valid cron",
        ),
        ("fine", Binding("c", "entityTrigger", "IN", {}), "does not run entities yet"),
        ("fine", Binding("b", "blobTrigger", "IN", {}), "no listener for the trigger type 'blobTrigger'"),
        (
            "fine",
            Binding("c", "orchestrationTrigger", "IN", {"orchestration": "@x"}),
            "must not start with @",
        ),
    ],
)
def test_what_the_host_refuses_is_refused_with_its_reason(name: str, binding: Binding, reason: str) -> None:
    with pytest.raises(FunctionRefused, match=reason.replace("(", r"\(")):
        check_function(name, [binding])


def test_snake_case_binding_names_and_settings_in_names_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QueueOf", "the-work")
    (resolved,) = check_function("deliver_message", [queue("queued_message", queueName="%QueueOf%")])
    assert resolved.properties["queueName"] == "the-work"


def test_one_route_may_be_shared_when_the_verbs_differ() -> None:
    taken = [("first", http(methods=["GET"]))]
    check_route_conflict(http(methods=["POST"]), taken)
    for methods in (["GET", "POST"], None):
        with pytest.raises(FunctionRefused, match="route defined by function 'first'"):
            check_route_conflict(http(methods=methods), taken)


def no_parameters() -> None: ...
def one_too_many(req: func.HttpRequest, other: str) -> None: ...
def not_an_out(msg: func.QueueMessage, out: str) -> None: ...
def wrong_type(msg: func.TimerRequest) -> None: ...
def wrong_context(msg: func.QueueMessage, context: str) -> None: ...
def generic_type(msg: List[str]) -> None: ...  # noqa: UP006 (see above)


@pytest.mark.parametrize(
    ("function", "bindings", "reason"),
    [
        (no_parameters, [http()], "declared in the function definition .* but not in Python: \\['req'\\]"),
        (one_too_many, [http()], "declared in Python but not in the function definition .*: \\['other'\\]"),
        (
            not_an_out,
            [queue(), queue("out", "queue", "OUT")],
            "annotation in Python is not azure.functions.Out",
        ),
        (wrong_type, [queue()], 'does not match its Python annotation "TimerRequest"'),
        (wrong_context, [queue()], "azure.functions.Context"),
        (generic_type, [queue()], "invalid non-type annotation"),
    ],
)
def test_a_signature_that_does_not_fit_its_bindings_stops_the_app(
    function: Callable[..., Any], bindings: list[Binding], reason: str
) -> None:
    with pytest.raises(AppLoadError, match=reason):
        read_signature("fails", function, bindings)


def test_converters_are_chosen_as_the_worker_chooses_them() -> None:
    def fine(msg: str, out: func.Out[str], many: func.Out[List[str]], context: func.Context) -> None: ...  # noqa: UP006

    outs = [queue("out", "queue", "OUT"), queue("many", "queue", "OUT")]
    signature = read_signature("fine", fine, [queue(), *outs])
    assert signature.converters == {"msg": "generic", "out": "generic", "many": "queue"}
    assert signature.out_parameters == {"out", "many"}
    assert signature.wants_context
    assert signature.return_binding is None


def test_a_connection_is_looked_for_under_the_hosts_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsThere", "by prefix")
    monkeypatch.setenv("There", "by name")
    assert connection_string("There") == "by prefix"
    assert connection_string("Store") == "UseDevelopmentStorage=true"
    monkeypatch.setenv("Managed__accountName", "x")
    with pytest.raises(ValueError, match="identity-based"):
        connection_string("Managed")


def test_settings_are_resolved_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local.settings.json").write_text(
        '{"IsEncrypted": false, "Values": {"FROM_FILE": "file", "FROM_BOTH": "file", "NOTHING": null},'
        ' "ConnectionStrings": {"Db": "there"}}'
    )
    for name in ("FROM_FILE", "ConnectionStrings:Db"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("FROM_BOTH", "environment")
    apply_local_settings(read_local_settings(tmp_path))
    assert resolve_tokens("%FROM_FILE%-%FROM_BOTH%") == "file-environment"
    assert app_setting("ConnectionStrings__Db") == "there"
    assert app_setting("NOTHING") is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"Values": {"A": "b"}}',
        '{"IsEncrypted": true, "Values": {"A": "b"}}',
        '{"IsEncrypted": false, "Values": []}',
    ],
)
def test_settings_that_cannot_be_read_are_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(HostStartError, match=r"local\.settings\.json"):
        read_local_settings(tmp_path)


def test_a_value_in_host_json_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    host_json = HostJson({"extensions": {"Queues": {"batchSize": 3}}})
    assert host_json.get("extensions.queues.batchsize") == 3
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__queues__batchSize", "7")
    assert host_json.get_int("extensions.queues.batchSize", 16, low=1, high=32) == 7
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__queues__batchSize", "33")
    with pytest.raises(HostStartError, match="between 1 and 32"):
        host_json.get_int("extensions.queues.batchSize", 16, low=1, high=32)


def test_host_json_says_how_many_durable_functions_run_at_once() -> None:
    key = "maxConcurrentActivityFunctions"
    assert most_at_once(HostJson({"extensions": {"durableTask": {key: 100}}}), key) == 100
    assert most_at_once(HostJson({}), key) == usual_concurrency()
    with pytest.raises(HostStartError, match=key):
        most_at_once(HostJson({"extensions": {"durableTask": {key: 0}}}), key)


def write_app(place: Path, text: str, host_json: str = '{"version": "2.0"}') -> Path:
    place.mkdir()
    (place / "host.json").write_text(host_json)
    (place / "function_app.py").write_text("import azure.functions as func\n" + text)
    return place


ONE = (
    "app = func.FunctionApp()\n@app.route(route='one')\n"
    "def one(req: func.HttpRequest) -> str:\n    return 'one'\n"
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ONE + "other = func.FunctionApp()\n", "More than one top level function app instances are defined"),
        ("app = func.Blueprint()\n", "Could not find top level function app instances"),
        (ONE + "raise KeyError('settings')\n", "KeyError: 'settings'"),
        (ONE + ONE.partition("\n")[2], "does not have a unique function name"),
    ],
)
def test_an_app_that_does_not_index_keeps_the_host_up(
    start_host: StartHost, tmp_path: Path, text: str, reason: str
) -> None:
    host = start_host(write_app(tmp_path / "app", text)).wait_until_up()
    assert host.call("GET", "/").status == 200
    assert host.call("GET", "/api/one").status == 404
    assert host.call("GET", "/admin/host/status").json()["state"] == "Error"
    assert reason in host.log
    assert host.stop() == 0


def test_one_refused_function_leaves_the_others_running(start_host: StartHost, tmp_path: Path) -> None:
    refused = "@app.route(route='admin/two')\ndef two(req: func.HttpRequest) -> str:\n    return 'two'\n"
    host = start_host(write_app(tmp_path / "app", ONE + refused)).wait_until_up()
    assert host.call("GET", "/api/one").text == "one"
    assert host.call("GET", "/api/admin/two").status == 404
    assert "The 'two' function is in error: The specified route conflicts" in host.log


def test_a_broken_or_missing_file_is_one_line_and_a_failure(start_host: StartHost, tmp_path: Path) -> None:
    broken = start_host(write_app(tmp_path / "broken", ONE, host_json="{"), place=tmp_path / "1")
    empty = tmp_path / "empty"
    empty.mkdir()
    missing = start_host(empty, place=tmp_path / "2")
    assert broken.process.wait(15) == 1
    assert "host.json is not valid JSON" in broken.log
    assert missing.process.wait(15) == 1
    assert "host.json is missing" in missing.log
    for host in (broken, missing):
        assert len(host.log.strip().splitlines()) == 1, host.log


def test_a_taken_port_is_one_line_and_a_failure(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    first = start_host(app, place=tmp_path / "1").wait_until_up()
    second = start_host(app, place=tmp_path / "2", port=first.port)
    assert second.process.wait(15) == 1
    assert f"Port {first.port} is unavailable" in second.log
    assert "Traceback" not in second.log


def test_a_second_host_on_one_task_hub_is_refused(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    first = start_host(app).wait_until_up()
    second = start_host(app)
    assert second.process.wait(15) == 1
    assert "Another devhost process is using this task hub" in second.log
    assert first.stop() == 0
    assert start_host(app).wait_until_up().stop() == 0


def test_a_fault_that_takes_the_host_down_leaves_its_stacks_in_the_log(
    start_host: StartHost, tmp_path: Path
) -> None:
    host = start_host(write_app(tmp_path / "app", ONE)).wait_until_up()
    host.process.send_signal(signal.SIGSEGV)
    assert host.process.wait(15) == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in host.log
    assert "devhost/__main__.py" in host.log


def test_only_the_named_functions_run_and_host_start_is_start(start_host: StartHost, tmp_path: Path) -> None:
    two = "@app.route(route='two')\ndef two(req: func.HttpRequest) -> str:\n    return 'two'\n"
    app = write_app(
        tmp_path / "app",
        ONE + two,
        host_json='{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}',
    )
    host = start_host(app, arguments=("host", "start", "--functions", "TWO")).wait_until_up()
    assert host.call("GET", "/two").text == "two"
    assert host.call("GET", "/one").status == 404
    assert f"two: http://localhost:{host.port}/two" in host.log


def test_a_trigger_that_needs_storage_does_not_start_without_it(start_host: StartHost) -> None:
    host = start_host("ticking", environment={"AzureWebJobsStorage": ""})
    assert host.process.wait(15) == 1
    assert "Missing value for AzureWebJobsStorage in local.settings.json." in host.log


SECRET = "c2VjcmV0"


@pytest.mark.parametrize(
    "value",
    [f"AccountKey={SECRET}", f"DefaultEndpointsProtocol=http;{SECRET}", f"https://{SECRET}"],
)
def test_a_malformed_connection_string_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("Store", value)
    with pytest.raises(FunctionRefused, match="'Store' is no storage connection string") as refused:
        check_function("fine", [queue()])
    assert SECRET not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_every_difference_that_is_printed_stands_in_the_docs() -> None:
    app = LoadedApp()
    kinds = ("httpTrigger", "queueTrigger", "timerTrigger", "orchestrationTrigger")
    for kind in kinds:
        trigger = Binding("b", kind, "IN", {})
        signature = Signature({}, {}, frozenset(), wants_context=False, return_binding=None)
        app.functions.append(FunctionDefinition(kind, print, trigger, (trigger,), signature, is_async=False))
    lease = timedelta(seconds=10)
    settings = QueueSettings(16, 8, 5, timedelta(0), timedelta(seconds=2), "none", lease)
    page = (Path(__file__).parents[2] / "docs" / "devhost.md").read_text()
    listed = page.partition("## Where it differs")[2].partition("\n## ")[0]
    bullets = [" ".join(part.replace("`", "").split()).lower() for part in listed.split("\n- ")[1:]]
    printed = [
        line.strip("\t- ").replace("`", "").replace(f"={lease}", "=<timespan>").lower()
        for line in differences(app, settings)[1:-1]
    ]
    assert len(bullets) == len(printed)
    for line in printed:
        assert any(bullet.startswith(line) for bullet in bullets), line
