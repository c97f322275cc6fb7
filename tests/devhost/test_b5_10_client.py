"""B5.10 as the SDK's client speaks it: every method of it, called in a function of a devhost process."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.devhost.host_process import Answer, DevhostProcess, until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    process = DevhostProcess("managed", tmp_path_factory.mktemp("managed")).wait_until_up()
    yield process
    assert process.stop() == 0, process.log
    assert "Traceback" not in process.log


def ask(host: DevhostProcess, method: str, **arguments: object) -> Any:
    """Call a method of the client; a dict with what it `returned` or `raised`."""
    answer = host.call("POST", f"/api/client/{method}", json.dumps(arguments))
    assert answer.status == 200, host.log
    return answer.json()


def returned(host: DevhostProcess, method: str, **arguments: object) -> Any:
    result = ask(host, method, **arguments)
    assert "returned" in result, result
    return result["returned"]


def raised(host: DevhostProcess, method: str, **arguments: object) -> str:
    return str(ask(host, method, **arguments)["raised"])


def start(host: DevhostProcess, name: str, instance_id: str, given: object = None) -> None:
    arguments = {"orchestration_function_name": name, "instance_id": instance_id, "client_input": given}
    assert returned(host, "start_new", **arguments) == instance_id


def reaches(host: DevhostProcess, instance_id: str, status: str) -> Any:
    """The status body, once the instance has that runtime status."""
    return until(
        lambda: (view := host.status(instance_id))["runtimeStatus"] == status and view,
        why=f"{instance_id} is {status}\n{host.log[-2000:]}",
    )


def test_start_new(host: DevhostProcess) -> None:
    start(host, "echo", "started", {"a": [1, "ä"]})
    assert reaches(host, "started", "Completed")["output"] == {"a": [1, "ä"]}
    made = returned(host, "start_new", orchestration_function_name="echo", client_input=0, version="1.0")
    assert len(made) == 32
    reason = raised(host, "start_new", orchestration_function_name="nobody")
    assert reason.startswith("The function 'nobody' doesn't exist, is disabled, or is not an orchestrator")
    bad_id = raised(host, "start_new", orchestration_function_name="echo", instance_id="@x")
    assert bad_id == "Orchestration instance ids must not start with @."
    start(host, "waits", "twice")
    again = raised(host, "start_new", orchestration_function_name="waits", instance_id="twice")
    assert "An Orchestration instance with the status" in again


def test_get_status(host: DevhostProcess) -> None:
    start(host, "echo", "seen", "x")
    reaches(host, "seen", "Completed")
    view = returned(host, "get_status", instance_id="seen")
    assert (view["found"], view["name"], view["runtimeStatus"], view["output"]) == (
        True,
        "echo",
        "Completed",
        "x",
    )
    assert (view["input"], view["events"]) == (
        '"x"',
        None,
    )  # shown, for the client does not send showInput=False
    whole = returned(host, "get_status", instance_id="seen", show_history=True, show_history_output=True)
    assert [event["EventType"] for event in whole["events"]] == ["ExecutionStarted", "ExecutionCompleted"]
    assert whole["events"][1]["Result"] == "x"
    assert returned(host, "get_status", instance_id="nobody")["found"] is False


def test_get_status_of_many(host: DevhostProcess) -> None:
    before = datetime.now(UTC)
    for number in range(3):
        start(host, "echo" if number else "waits", f"many-{number}")
    reaches(host, "many-2", "Completed")
    every = returned(host, "get_status_all")
    assert {"many-0", "many-1", "many-2"} <= {view["instanceId"] for view in every}
    found = returned(
        host,
        "get_status_by",
        created_time_from=(before - timedelta(seconds=1)).isoformat(),
        created_time_to=(before + timedelta(hours=1)).isoformat(),
        runtime_status=["Completed", "Failed"],
        instance_id_prefix="many-",
    )
    assert [view["instanceId"] for view in found] == ["many-1", "many-2"]


def test_raise_event(host: DevhostProcess) -> None:
    start(host, "waits", "woken")
    hub = {"task_hub_name": "Managed", "connection_name": "Storage"}
    assert returned(host, "raise_event", instance_id="woken", event_name="go", event_data=True, **hub) is None
    assert reaches(host, "woken", "Completed")["output"] == "true"  # a string: JSON of JSON
    assert raised(host, "raise_event", instance_id="woken", event_name="go").endswith("completed or failed")
    assert raised(host, "raise_event", instance_id="nobody", event_name="go").startswith(
        "No instance with ID"
    )


def test_terminate(host: DevhostProcess) -> None:
    start(host, "waits", "ended")
    assert returned(host, "terminate", instance_id="ended", reason="it was enough & more") is None
    assert reaches(host, "ended", "Terminated")["output"] == "it was enough & more"
    assert returned(host, "terminate", instance_id="ended", reason="x") is None  # 410, which it passes over
    assert "No instance with ID" in raised(host, "terminate", instance_id="nobody", reason="x")


def test_purge(host: DevhostProcess) -> None:
    start(host, "echo", "purged")
    reaches(host, "purged", "Completed")
    assert returned(host, "purge_instance_history", instance_id="purged") == 1
    assert returned(host, "purge_instance_history", instance_id="purged") == 0
    for number in range(2):
        start(host, "waits", f"canned-{number}")
        returned(host, "terminate", instance_id=f"canned-{number}", reason="x")
        reaches(host, f"canned-{number}", "Terminated")
    filters = {"created_time_from": "2020-01-01T00:00:00", "runtime_status": ["Terminated"]}
    assert returned(host, "purge_instance_history_by", **filters) >= 2
    assert returned(host, "purge_instance_history_by", **filters) == 0


def test_restart(host: DevhostProcess) -> None:
    start(host, "echo", "first", 7)
    reaches(host, "first", "Completed")
    payload = returned(host, "restart", instance_id="first")
    assert len(payload["id"]) == 32  # the SDK returns the whole payload and calls it the id
    assert reaches(host, payload["id"], "Completed")["output"] == 7
    same = returned(host, "restart", instance_id="first", restart_with_new_instance_id=False)
    assert same["id"] == "first"
    assert "unexpected status code 400" in raised(host, "restart", instance_id="nobody")


def post(host: DevhostProcess, path: str) -> Answer:
    return host.call("POST", f"/api/{path}", "")


def test_wait_for_completion_or_create_check_status_response(host: DevhostProcess) -> None:
    start(host, "echo", "soon", {"a": 1})
    reaches(host, "soon", "Completed")
    done = post(host, "wait/soon?timeout=5000")
    assert (done.status, done.json()) == (200, {"a": 1})
    start(host, "waits", "never")
    late = post(host, "wait/never?timeout=100")
    assert (late.status, late.json()["id"], late.headers["retry-after"]) == (202, "never", "10")


def test_create_check_status_response_links_to_the_origin_of_the_caller(host: DevhostProcess) -> None:
    answer = post(host, "check/some")
    base = f"http://127.0.0.1:{host.port}/runtime/webhooks/durabletask/instances/some"
    assert answer.status == 202
    assert answer.headers["location"] == answer.json()["statusQueryGetUri"]
    assert answer.json()["statusQueryGetUri"].startswith(f"{base}?taskHub=Managed&connection=Storage&code=")
    payload = returned(host, "create_http_management_payload", instance_id="some")
    assert payload["terminatePostUri"].startswith(f"http://localhost:{host.port}/runtime/webhooks/")
    assert set(payload) == set(answer.json())


def test_a_binding_may_name_its_hub(host: DevhostProcess) -> None:
    value = host.call("GET", "/api/binding").json()
    assert (value["taskHubName"], value["connectionName"]) == ("OtherHub", "Other")


def test_a_start_over_http_may_wait_for_the_output(host: DevhostProcess) -> None:
    path = "orchestrators/{}/{}?timeout={}&pollingInterval=0.05"
    answer = host.durable("POST", path.format("echo", "waited", 10), json.dumps("[1, 2]"))
    assert (answer.status, answer.json()) == (200, [1, 2])
    late = host.durable("POST", path.format("waits", "waited-for", 0.1))
    assert (late.status, late.json()["id"]) == (202, "waited-for")
