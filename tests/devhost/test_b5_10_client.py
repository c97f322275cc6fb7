"""B5.10 as the SDK's client speaks it: every method of it, called in a function of a devhost process."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.devhost.host_process import Answer, DevhostProcess, until


def ask(managed: DevhostProcess, method: str, **arguments: object) -> Any:
    """Call a method of the client; a dict with what it `returned` or `raised`."""
    answer = managed.call("POST", f"/api/client/{method}", json.dumps(arguments))
    assert answer.status == 200, managed.log
    return answer.json()


def returned(managed: DevhostProcess, method: str, **arguments: object) -> Any:
    result = ask(managed, method, **arguments)
    assert "returned" in result, result
    return result["returned"]


def raised(managed: DevhostProcess, method: str, **arguments: object) -> str:
    return str(ask(managed, method, **arguments)["raised"])


def start(managed: DevhostProcess, name: str, instance_id: str, given: object = None) -> None:
    arguments = {"orchestration_function_name": name, "instance_id": instance_id, "client_input": given}
    assert returned(managed, "start_new", **arguments) == instance_id


def reaches(managed: DevhostProcess, instance_id: str, status: str) -> Any:
    """The status body, once the instance has that runtime status."""
    return until(
        lambda: (view := managed.status(instance_id))["runtimeStatus"] == status and view,
        why=f"{instance_id} is {status}\n{managed.log[-2000:]}",
    )


def test_start_new(managed: DevhostProcess) -> None:
    start(managed, "echo", "started", {"a": [1, "ä"]})
    assert reaches(managed, "started", "Completed")["output"] == {"a": [1, "ä"]}
    made = returned(managed, "start_new", orchestration_function_name="echo", client_input=0, version="1.0")
    assert len(made) == 32
    reason = raised(managed, "start_new", orchestration_function_name="nobody")
    assert reason.startswith("The function 'nobody' doesn't exist, is disabled, or is not an orchestrator")
    bad_id = raised(managed, "start_new", orchestration_function_name="echo", instance_id="@x")
    assert bad_id == "Orchestration instance ids must not start with @."
    start(managed, "waits", "twice")
    again = raised(managed, "start_new", orchestration_function_name="waits", instance_id="twice")
    assert "An Orchestration instance with the status" in again


def test_get_status(managed: DevhostProcess) -> None:
    start(managed, "echo", "seen", "x")
    reaches(managed, "seen", "Completed")
    view = returned(managed, "get_status", instance_id="seen")
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
    whole = returned(managed, "get_status", instance_id="seen", show_history=True, show_history_output=True)
    assert [event["EventType"] for event in whole["events"]] == ["ExecutionStarted", "ExecutionCompleted"]
    assert whole["events"][1]["Result"] == "x"
    assert returned(managed, "get_status", instance_id="nobody")["found"] is False


def test_get_status_of_many(managed: DevhostProcess) -> None:
    before = datetime.now(UTC)
    for number in range(3):
        start(managed, "echo" if number else "waits", f"many-{number}")
    reaches(managed, "many-2", "Completed")
    every = returned(managed, "get_status_all")
    assert {"many-0", "many-1", "many-2"} <= {view["instanceId"] for view in every}
    found = returned(
        managed,
        "get_status_by",
        created_time_from=(before - timedelta(seconds=1)).isoformat(),
        created_time_to=(before + timedelta(hours=1)).isoformat(),
        runtime_status=["Completed", "Failed"],
        instance_id_prefix="many-",
    )
    assert [view["instanceId"] for view in found] == ["many-1", "many-2"]


def test_raise_event(managed: DevhostProcess) -> None:
    start(managed, "waits", "woken")
    hub = {"task_hub_name": "Managed", "connection_name": "Storage"}
    assert (
        returned(managed, "raise_event", instance_id="woken", event_name="go", event_data=True, **hub) is None
    )
    assert reaches(managed, "woken", "Completed")["output"] == "true"  # a string: JSON of JSON
    assert raised(managed, "raise_event", instance_id="woken", event_name="go").endswith(
        "completed or failed"
    )
    assert raised(managed, "raise_event", instance_id="nobody", event_name="go").startswith(
        "No instance with ID"
    )


def test_terminate(managed: DevhostProcess) -> None:
    start(managed, "waits", "ended")
    assert returned(managed, "terminate", instance_id="ended", reason="it was enough & more") is None
    assert reaches(managed, "ended", "Terminated")["output"] == "it was enough & more"
    assert (
        returned(managed, "terminate", instance_id="ended", reason="x") is None
    )  # 410, which it passes over
    assert "No instance with ID" in raised(managed, "terminate", instance_id="nobody", reason="x")


def test_purge(managed: DevhostProcess) -> None:
    start(managed, "echo", "purged")
    reaches(managed, "purged", "Completed")
    assert returned(managed, "purge_instance_history", instance_id="purged") == 1
    assert returned(managed, "purge_instance_history", instance_id="purged") == 0
    for number in range(2):
        start(managed, "waits", f"canned-{number}")
        returned(managed, "terminate", instance_id=f"canned-{number}", reason="x")
        reaches(managed, f"canned-{number}", "Terminated")
    filters = {"created_time_from": "2020-01-01T00:00:00", "runtime_status": ["Terminated"]}
    assert returned(managed, "purge_instance_history_by", **filters) >= 2
    assert returned(managed, "purge_instance_history_by", **filters) == 0


def test_restart(managed: DevhostProcess) -> None:
    start(managed, "echo", "first", 7)
    reaches(managed, "first", "Completed")
    payload = returned(managed, "restart", instance_id="first")
    assert len(payload["id"]) == 32  # the SDK returns the whole payload and calls it the id
    assert reaches(managed, payload["id"], "Completed")["output"] == 7
    same = returned(managed, "restart", instance_id="first", restart_with_new_instance_id=False)
    assert same["id"] == "first"
    assert "unexpected status code 400" in raised(managed, "restart", instance_id="nobody")


def post(managed: DevhostProcess, path: str) -> Answer:
    return managed.call("POST", f"/api/{path}", "")


def test_wait_for_completion_or_create_check_status_response(managed: DevhostProcess) -> None:
    start(managed, "echo", "soon", {"a": 1})
    reaches(managed, "soon", "Completed")
    done = post(managed, "wait/soon?timeout=5000")
    assert (done.status, done.json()) == (200, {"a": 1})
    start(managed, "waits", "never")
    late = post(managed, "wait/never?timeout=100")
    assert (late.status, late.json()["id"], late.headers["retry-after"]) == (202, "never", "10")


def test_create_check_status_response_links_to_the_origin_of_the_caller(managed: DevhostProcess) -> None:
    answer = post(managed, "check/some")
    base = f"http://127.0.0.1:{managed.port}/runtime/webhooks/durabletask/instances/some"
    assert answer.status == 202
    assert answer.headers["location"] == answer.json()["statusQueryGetUri"]
    assert answer.json()["statusQueryGetUri"].startswith(f"{base}?taskHub=Managed&connection=Storage&code=")
    payload = returned(managed, "create_http_management_payload", instance_id="some")
    assert payload["terminatePostUri"].startswith(f"http://localhost:{managed.port}/runtime/webhooks/")
    assert set(payload) == set(answer.json())


def test_a_binding_may_name_its_hub(managed: DevhostProcess) -> None:
    value = managed.call("GET", "/api/binding").json()
    assert (value["taskHubName"], value["connectionName"]) == ("OtherHub", "Other")


def test_a_start_over_http_may_wait_for_the_output(managed: DevhostProcess) -> None:
    path = "orchestrators/{}/{}?timeout={}&pollingInterval=0.05"
    answer = managed.durable("POST", path.format("echo", "waited", 10), json.dumps("[1, 2]"))
    assert (answer.status, answer.json()) == (200, [1, 2])
    late = managed.durable("POST", path.format("waits", "waited-for", 0.1))
    assert (late.status, late.json()["id"]) == (202, "waited-for")


def test_suspend_and_resume(managed: DevhostProcess) -> None:
    start(managed, "waits", "held")
    reaches(managed, "held", "Running")
    assert returned(managed, "suspend", instance_id="held", reason="a while") is None
    view = managed.durable("GET", "instances/held")
    reaches(managed, "held", "Suspended")
    assert view.status == 202
    assert "unexpected status code 500" in raised(managed, "suspend", instance_id="held", reason="again")
    assert returned(managed, "raise_event", instance_id="held", event_name="go", event_data=1) is None
    assert returned(managed, "resume", instance_id="held", reason="enough") is None
    assert reaches(managed, "held", "Completed")["output"] == "1"
    assert returned(managed, "resume", instance_id="held", reason="x") is None  # 410, which it passes over
    assert "No instance with ID" in raised(managed, "suspend", instance_id="nobody", reason="x")
    start(managed, "waits", "not-held")
    reaches(managed, "not-held", "Running")
    assert "unexpected status code 500" in raised(managed, "resume", instance_id="not-held", reason="x")


def test_rewind(managed: DevhostProcess) -> None:
    start(managed, "fails_once", "mended")
    assert "the first time it fails" in reaches(managed, "mended", "Failed")["output"]
    assert returned(managed, "rewind", instance_id="mended", reason="try again") is None
    assert reaches(managed, "mended", "Completed")["output"] == "mended"
    ended = raised(managed, "rewind", instance_id="mended", reason="x")
    assert ended == "The rewind operation is only supported on failed orchestration instances."
    assert "No instance with ID" in raised(managed, "rewind", instance_id="nobody", reason="x")
    start(managed, "waits", "not-failed")
    assert "unexpected payload" in raised(managed, "rewind", instance_id="not-failed", reason="x")


def test_signal_and_read_an_entity(managed: DevhostProcess) -> None:
    entity = ["Counter", "of the client"]
    assert returned(managed, "read_entity_state", entityId=entity) == {"exists": False, "state": None}
    for number in (5, 0, 7):
        signal = {"entityId": entity, "operation_name": "add", "operation_input": number}
        assert returned(managed, "signal_entity", **signal) is None
    until(lambda: returned(managed, "read_entity_state", entityId=entity) == {"exists": True, "state": 12})
    listed = managed.durable("GET", "entities/COUNTER?fetchState=true").json()
    found = [view["state"] for view in listed if view["entityId"]["key"] == "of the client"]
    assert found == [12]
    assert managed.durable("DELETE", "entities/counter/of+the+client").status == 202
    until(lambda: managed.durable("GET", "entities/counter/of%20the%20client").status == 404)
    nobody = {"entityId": ["nobody", "k"], "operation_name": "add"}
    assert "unexpected status code 400" in raised(managed, "signal_entity", **nobody)
