"""Contract B2, the host's own routes below /admin: ping, status, functions, and running one by hand."""

import json
from pathlib import Path

import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until
from tests.devhost.written_app import write_app


def test_ping_answers_both_verbs_with_nothing(everything: DevhostProcess) -> None:
    for method in ("GET", "POST"):
        for path in ("/admin/host/ping", "/admin/host/ping?checkHealth=1", "/ADMIN/Host/Ping"):
            answer = everything.call(method, path)
            assert (answer.status, answer.body) == (200, b"")


def test_the_status_tells_how_the_host_is(everything: DevhostProcess) -> None:
    status = everything.call("GET", "/admin/host/status").json()
    assert status["state"] == "Running"
    assert status["version"].startswith("4.")
    assert status["processUptime"] >= 0
    assert {"id", "versionDetails", "functionAppContentEditingState"} <= status.keys()
    assert "errors" not in status


def test_functions_are_listed_as_on_the_real_host(everything: DevhostProcess) -> None:
    functions = {f["name"]: f for f in everything.call("GET", "/admin/functions").json()}
    echo = functions["echo"]
    assert echo["invoke_url_template"] == f"http://127.0.0.1:{everything.port}/api/echo"
    assert echo["href"] == f"http://127.0.0.1:{everything.port}/admin/functions/echo"
    assert (echo["language"], echo["isDisabled"], echo["isDirect"], echo["isProxy"]) == (
        "python",
        False,
        False,
        False,
    )
    assert echo["test_data"] == ""
    assert echo["config"]["scriptFile"] == "function_app.py"
    assert echo["config"]["entryPoint"] == "echo"
    assert echo["config"]["bindings"][0]["methods"] == ["POST", "PUT"]
    assert functions["switched_off"]["isDisabled"]
    assert functions["work"]["invoke_url_template"] is None
    assert everything.call("GET", "/admin/functions/ECHO").json() == echo
    assert functions["work"]["config"]["bindings"][0]["queueName"] == "work"


def test_the_status_of_a_function_has_its_errors(start_host: StartHost, tmp_path: Path) -> None:
    text = (
        "app = func.FunctionApp()\n"
        "@app.route(route='one')\ndef one(req: func.HttpRequest) -> str:\n    return 'one'\n"
        "@app.route(route='admin/x')\ndef two(req: func.HttpRequest) -> str:\n    return 'two'\n"
    )
    bundle = {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}
    app = write_app(tmp_path / "app", text, json.dumps({"version": "2.0", "extensionBundle": bundle}))
    host = start_host(app, place=tmp_path).wait_until_up()
    assert host.call("GET", "/admin/functions/one/status").json() == {}
    [error] = host.call("GET", "/admin/functions/two/status").json()["errors"]
    assert "conflicts with one or more built in routes" in error
    assert host.call("GET", "/admin/functions/three/status").status == 404
    status = host.call("GET", "/admin/host/status").json()
    assert (status["state"], len(status["errors"])) == ("Error", 1)
    assert status["extensionBundle"] == bundle
    assert host.call("GET", "/api/one").text == "one"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin"),
        ("GET", "/admin/"),
        ("GET", "/admin/host"),
        ("DELETE", "/admin/host/ping"),
        ("POST", "/admin/host/status"),
        ("GET", "/admin/functions/unknown"),
        ("GET", "/admin/functions/echo/keys"),
        ("PUT", "/admin/functions/echo"),
        ("GET", "/admin/functions/echo/x/y"),
        ("GET", "/administrator"),
    ],
)
def test_what_is_no_route_of_the_host_is_404(everything: DevhostProcess, method: str, path: str) -> None:
    assert everything.call(method, path).status == 404


def test_a_function_can_be_run_by_hand(everything: DevhostProcess) -> None:
    answer = everything.call("POST", "/admin/functions/work", '{"input": "by hand"}')
    assert (answer.status, answer.body) == (202, b"")
    until(lambda: "by hand 1" in everything.noted("work"))
    assert everything.call("POST", "/admin/functions/YEARLY", '{"input": ""}').status == 202
    until(lambda: len(everything.noted("yearly")) == 2)
    assert everything.call("POST", "/admin/functions/hello", "{}").status == 202
    assert everything.call("POST", "/admin/functions/unknown", '{"input": ""}').status == 404
    assert everything.call("POST", "/admin/functions/work", "no json").status == 400
    assert everything.call("POST", "/admin/functions/work").status == 400
    assert everything.call("POST", "/admin/functions/unknown").status == 400
    assert everything.call("POST", "/admin/functions/chain", '{"input": ""}').status == 400


def test_a_function_is_run_by_hand_with_a_text_and_an_activity_with_json(everything: DevhostProcess) -> None:
    for given in ("1", "null", "{}", "[]"):
        path = "/admin/functions/work"
        assert everything.call("POST", path, f'{{"input": {given}}}').status == 400
    for given, status in (("no json", 400), ("[" * 100_000, 400), ("[1, 2]", 202)):
        body = json.dumps({"input": given})
        assert everything.call("POST", "/admin/functions/add", body).status == status
    bad_charset = {"Content-Type": "application/json; charset=nonsense"}
    assert everything.call("POST", "/admin/functions/work", "{}", bad_charset).status == 400
