"""Contract B1: what of an app is loaded, what is refused, and with which words."""

from pathlib import Path
from typing import Any

import pytest

from devhost.errors import FunctionRefused
from devhost.indexing.binding_rules import check_function, check_route_conflict
from devhost.indexing.function_binding import Binding
from devhost.storage.connection_setting import ConnectionString, find_connection
from devhost.trigger_languages import TRIGGER_LANGUAGES
from tests.devhost.conftest import StartHost
from tests.devhost.written_app import ONE, write_app


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
        ("fine", http(route="/administrators"), "conflicts with one or more built in routes"),
        ("1st", http(), "not a valid function name"),
        ("x" * 129, http(), "not a valid function name"),
        ("fine", http("a" * 129), "is invalid. Please assign a valid name to the binding."),
        ("fine", http(route="{a"), "route template"),
        ("fine", queue(queueName="No"), "queue name 'No' is not valid"),
        ("fine", queue(queueName="%Nowhere%"), "'%Nowhere%' does not resolve to a value."),
        ("fine", queue(connection="Missing"), "'AzureWebJobsMissing' does not exist"),
        (
            "fine",
            Binding("t", "timerTrigger", "IN", {"schedule": "daily"}),
            "was not recognized as a valid cron",
        ),
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
        check_function(name, [binding], TRIGGER_LANGUAGES)


def test_a_binding_name_is_given_once() -> None:
    with pytest.raises(FunctionRefused, match="Multiple bindings with name 'x' discovered"):
        check_function("fine", [http("x"), queue("x", "queue", "OUT")])


def test_snake_case_binding_names_and_settings_in_names_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QueueOf", "the-work")
    (resolved,) = check_function("deliver_message", [queue("queued_message", queueName="%QueueOf%")])
    assert resolved.properties["queueName"] == "the-work"


def test_one_route_may_be_shared_when_the_verbs_differ() -> None:
    taken = [("first", http(route="/R/", methods=["GET"]))]
    check_route_conflict(http(methods=["POST"]), taken)
    for methods in (["GET", "POST"], None):
        with pytest.raises(FunctionRefused, match="route defined by function 'first'"):
            check_route_conflict(http(methods=methods), taken)


def test_a_connection_is_looked_for_under_the_hosts_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsThere", "by prefix")
    monkeypatch.setenv("There", "by name")
    assert find_connection("There") == ConnectionString("by prefix")
    assert find_connection("Store") == ConnectionString("UseDevelopmentStorage=true")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ONE + "other = func.FunctionApp()\n", "More than one FunctionApp or other top level function app"),
        ("app = func.Blueprint()\n", "Could not find top level function app instances in function_app.py."),
        (ONE + "raise KeyError('settings')\n", "KeyError: 'settings'"),
        (ONE + "import yaml_that_is_missing\n", "Cannot find module. Please check the requirements.txt file"),
        (ONE + "import host_process\n", "No module named 'host_process'"),
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


def test_another_file_may_be_the_app(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    (app / "function_app.py").rename(app / "main.py")
    host = start_host(app, environment={"PYTHON_SCRIPT_FILE_NAME": "main.py"}).wait_until_up()
    assert host.call("GET", "/api/one").text == "one"


def test_a_directory_without_the_file_has_no_functions(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    (app / "function_app.py").unlink()
    host = start_host(app).wait_until_up()
    assert host.call("GET", "/").status == 200
    assert f"No functions were found: there is no function_app.py in {app}." in host.log
