"""What the page's API tells and does, against a running host and real queues; and who may call it."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from devhost.storage.storage_connection import STORAGE_API_VERSION
from local.azurite import Azurite
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import Answer, DevhostProcess, until

PAGE = {"X-Devhost-Page": "1"}
ORDER = {"customer": "someone@example.com", "items": ["lamp"]}


@pytest.fixture(scope="module")
def host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    with queue(azurite, "orders") as orders, suppress(ResourceExistsError):
        orders.create_queue()
    environment = {"AzureWebJobsStorage": azurite.connection_string}
    running = DevhostProcess("watched", tmp_path_factory.mktemp("watched"), environment=environment)
    yield running.wait_until_up()
    running.kill()


def queue(azurite: Azurite, name: str) -> QueueClient:
    return QueueClient.from_connection_string(
        azurite.connection_string, name, api_version=STORAGE_API_VERSION
    )


def ask(host: DevhostProcess, path: str, method: str = "GET", body: str | None = None) -> Answer:
    headers = {**PAGE, "Content-Type": "application/json"} if body is not None else PAGE
    return host.call(method, f"/devhost/api/{path}", body, headers)


def get(host: DevhostProcess, path: str) -> Any:
    answer = ask(host, path)
    assert answer.status == 200, answer.text
    return answer.json()


def function(host: DevhostProcess, name: str) -> Any:
    return next(item for item in get(host, "overview")["functions"] if item["name"] == name)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("", "text/html"), ("/", "text/html"), ("/page.css", "text/css"), ("/main.js", "text/javascript"),
     ("/dom.js", "text/javascript"), ("/icon.svg", "image/svg+xml")],
)  # fmt: skip
def test_the_page_is_sent_with_a_strict_policy(host: DevhostProcess, path: str, kind: str) -> None:
    answer = host.call("GET", f"/devhost{path}")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/nothing.js", "/../host.json", "/%2e%2e/page_api.py", "/static/main.js"])
def test_nothing_else_is_sent(host: DevhostProcess, path: str) -> None:
    assert host.call("GET", f"/devhost{path}").status == 404
    assert host.call("POST", "/devhost").status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**PAGE, "Sec-Fetch-Site": "cross-site"},
        {**PAGE, "Sec-Fetch-Site": "same-site"},
        {**PAGE, "Origin": "https://elsewhere.example"},
        {**PAGE, "Origin": "null"},
        {**PAGE, "Origin": "http://["},
        {**PAGE, "Host": "elsewhere.example:7071"},
    ],
)
def test_no_other_sites_page_can_call_it(host: DevhostProcess, headers: dict[str, str]) -> None:
    for method, path in (("GET", "overview"), ("POST", "timers/send_digest/fire"), ("DELETE", "instances/x")):
        answer = host.call(method, f"/devhost/api/{path}", headers=headers)
        assert answer.status == 403
        assert answer.headers["content-type"].startswith("application/problem+json")
    assert "access-control-allow-origin" not in answer.headers


def test_its_own_page_can_call_it(host: DevhostProcess) -> None:
    origin = {"Origin": f"http://127.0.0.1:{host.port}", "Sec-Fetch-Site": "same-origin"}
    assert host.call("GET", "/devhost/api/overview", headers={**PAGE, **origin}).status == 200
    named = {**PAGE, "Host": f"localhost:{host.port}"}
    assert host.call("GET", "/devhost/api/overview", headers=named).status == 200


def test_a_name_that_is_not_ours_is_not_shown_the_page(host: DevhostProcess) -> None:
    assert host.call("GET", "/devhost", headers={"Host": f"rebound.example:{host.port}"}).status == 403


@pytest.mark.parametrize("path", ["nothing", "instances/unknown", "queues/unknown/poison", "", "timers"])
def test_what_is_not_there_is_404(host: DevhostProcess, path: str) -> None:
    assert ask(host, path).status == 404
    assert ask(host, "timers/get_order/fire", "POST", '{"input": ""}').status == 404


def test_functions_have_their_last_runs(host: DevhostProcess) -> None:
    before = function(host, "get_order")
    assert (before["trigger"], before["target"]) == ("http", "GET /api/orders/{order_id}")
    host.call("GET", "/api/orders/1")
    host.call("GET", "/api/orders/none")
    after = function(host, "get_order")
    assert (after["succeeded"], after["failed"]) == (before["succeeded"] + 1, before["failed"] + 1)
    failed, succeeded = after["runs"][:2]
    assert failed["error"] == "KeyError: 'there is no such order'"
    assert succeeded["error"] is None
    assert succeeded["milliseconds"] >= 20


def test_timers_have_their_next_runs_and_can_be_fired(host: DevhostProcess) -> None:
    timers = {timer["name"]: timer for timer in get(host, "overview")["timers"]}
    digest = timers["send_digest"]
    assert (digest["schedule"], digest["zone"], len(digest["coming"])) == ("0 0 6 * * Mon-Fri", "UTC", 5)
    assert all("T06:00:00" in moment for moment in digest["coming"])
    assert ask(host, "timers/send_digest/fire", "POST", '{"input": ""}').status == 202
    until(lambda: function(host, "send_digest")["succeeded"] == 1)


def test_an_instance_has_its_timeline_and_its_children(host: DevhostProcess) -> None:
    host.start("fulfil_order", "seen", ORDER)
    host.ended("seen")
    seen = get(host, "instances/seen")
    assert seen["status"] == "Completed"
    assert json.loads(seen["output"])["payment"] == "paid"
    assert json.loads(seen["customStatus"])["step"] == "reserving"
    shown = [(row["kind"], row["name"], row["state"]) for row in seen["timeline"]]
    assert shown == [
        ("started", "fulfil_order", "done"),
        ("activity", "reserve_item", "completed"),
        ("timer", "", "completed"),
        ("sub-orchestration", "take_payment", "completed"),
        ("activity", "notify_customer", "completed"),
        ("ended", "Completed", "done"),
    ]
    (child,) = seen["children"]
    assert get(host, f"instances/{child['id']}")["parentId"] == "seen"


def test_a_failure_is_in_the_timeline_with_its_reason(host: DevhostProcess) -> None:
    host.start("take_payment", "stolen", {"card": "stolen"})
    host.ended("stolen")
    rows = get(host, "instances/stolen")["timeline"]
    failed = [row for row in rows if row["kind"] == "activity"]
    assert [row["state"] for row in failed] == ["failed"] * 3
    assert "PermissionError: the card was reported stolen" in failed[0]["reason"]
    assert rows[-1]["state"] == "failed"


def test_instances_are_listed_newest_first_in_pages_and_by_filters(host: DevhostProcess) -> None:
    for number in range(55):
        host.start("take_payment", f"page-{number:02d}", {})
    first = get(host, "instances?prefix=page-")
    assert [item["id"] for item in first["items"]] == [f"page-{number:02d}" for number in range(54, 4, -1)]
    second = get(host, "instances?prefix=page-&before=" + first["next"].replace(" ", "%20"))
    assert [item["id"] for item in second["items"]] == [f"page-{number:02d}" for number in range(4, -1, -1)]
    assert second["next"] == ""
    host.start("fulfil_order", "filtered", ORDER)
    host.ended("filtered")
    names = {item["name"] for item in get(host, "instances?name=FULFIL")["items"]}
    assert names == {"fulfil_order"}
    statuses = {item["status"] for item in get(host, "instances?status=Completed,Nonsense")["items"]}
    assert statuses == {"Completed"}
    assert all(item["parentId"] is None for item in get(host, "instances?roots=true")["items"])
    assert get(host, "overview")["counts"]["Completed"] >= 1


def test_an_instance_is_suspended_resumed_told_an_event_and_purged(host: DevhostProcess) -> None:
    host.start("fulfil_order", "waiting", {**ORDER, "waits": True})
    until(lambda: "courier" in (get(host, "instances/waiting")["customStatus"] or ""))
    assert ask(host, "instances/waiting/suspend?reason=x", "POST").status == 202
    until(lambda: get(host, "instances/waiting")["status"] == "Suspended")
    assert ask(host, "instances/waiting/resume?reason=x", "POST").status == 202
    until(lambda: get(host, "instances/waiting")["status"] == "Running")
    assert ask(host, "instances/waiting/raiseEvent/picked_up", "POST", '{"by": "van"}').status == 202
    host.ended("waiting")
    marks = [row for row in get(host, "instances/waiting")["timeline"] if row["kind"] == "event"]
    assert [(mark["name"], json.loads(mark["text"])) for mark in marks] == [("picked_up", {"by": "van"})]
    assert ask(host, "instances/waiting/restart?reason=x", "POST").status == 202
    assert ask(host, "instances/waiting", "DELETE").status == 200
    assert ask(host, "instances/waiting").status == 404


def test_an_instance_is_terminated(host: DevhostProcess) -> None:
    host.start("fulfil_order", "ends", {**ORDER, "waits": True})
    assert ask(host, "instances/ends/terminate?reason=enough", "POST").status == 202
    assert host.ended("ends")["output"] == "enough"
    assert ask(host, "instances/ends/terminate?reason=enough", "POST").status == 410


def test_queues_have_their_lengths_and_poison_messages_go_back(
    host: DevhostProcess, azurite: Azurite
) -> None:
    with queue(azurite, "orders") as orders:
        orders.send_message("fine")
        for number in range(3):
            orders.send_message(f"<b>{number}</b>")
    until(lambda: function(host, "receive_order")["failed"] == 3)
    lengths = until(lambda: (seen := by_name(host))["orders"]["poisonLength"] == 3 and seen)
    assert lengths["orders"]["length"] == 0
    assert lengths["orders"]["readers"] == ["receive_order"]
    assert (lengths["receipts"]["length"], lengths["receipts"]["poisonName"]) == (1, None)
    messages = get(host, "queues/orders/poison")["items"]
    assert sorted(message["text"] for message in messages) == ["<b>0</b>", "<b>1</b>", "<b>2</b>"]

    wanted = messages[1]["id"]
    answer = ask(host, f"queues/orders/poison/resubmit?message={wanted}", "POST")
    assert answer.json() == {"moved": 1}
    until(lambda: function(host, "receive_order")["failed"] == 4)
    assert ask(host, f"queues/orders/poison/resubmit?message={wanted}", "POST").json() == {"moved": 0}
    until(lambda: len(get(host, "queues/orders/poison")["items"]) == 3)
    assert ask(host, "queues/orders/poison/resubmit", "POST").json() == {"moved": 3}
    until(lambda: function(host, "receive_order")["failed"] == 7)
    assert ask(host, "queues/receipts/poison/resubmit", "POST").status == 404


def by_name(host: DevhostProcess) -> Any:
    return {item["name"]: item for item in get(host, "queues")["items"]}


def test_entities_are_listed(host: DevhostProcess) -> None:
    for item in ("lamp", "chair"):
        assert host.call("POST", f"/api/stock/{item}/7").status == 202
    until(lambda: get(host, "overview")["entities"] == 2)
    shelves = get(host, "entities")
    assert [(item["id"], item["state"]) for item in shelves["items"]] == [
        ("@shelf@chair", "7"),
        ("@shelf@lamp", "7"),
    ]
    assert shelves["next"] == ""
    assert [item["id"] for item in get(host, "entities?prefix=shelf@l")["items"]] == ["@shelf@lamp"]


def test_with_enable_auth_the_api_needs_the_master_key(start_host: StartHost, tmp_path: Path) -> None:
    locked = start_host("ticking", arguments=("start", "--enable-auth")).wait_until_up()
    master = json.loads((tmp_path / "data" / "keys.json").read_text())["masterKey"]
    assert locked.call("GET", "/devhost").status == 200  # the page itself is no secret
    for headers in (PAGE, {**PAGE, "x-functions-key": "wrong"}):
        assert locked.call("GET", "/devhost/api/overview", headers=headers).status == 401
        fired = locked.call("POST", "/devhost/api/timers/at_startup/fire", '{"input": ""}', headers)
        assert fired.status == 401
    opened = {**PAGE, "x-functions-key": master, "Content-Type": "application/json"}
    assert locked.call("GET", "/devhost/api/overview", headers=opened).status == 200
    fired = locked.call("POST", "/devhost/api/timers/at_startup/fire", '{"input": ""}', opened)
    assert fired.status == 202
    assert locked.stop() == 0


def test_why_an_app_does_not_load_is_told(start_host: StartHost, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "app" / "function_app.py").write_text("raise KeyError('settings')\n")
    broken = start_host(tmp_path / "app").wait_until_up()
    assert "KeyError: 'settings'" in get(broken, "overview")["error"]


def test_a_storage_that_is_away_is_named_and_holds_nothing_up(everything: DevhostProcess) -> None:
    (work,) = get(everything, "queues")["items"]
    assert work["length"] is None
    assert work["error"].startswith("The storage account does not answer (")
    answer = ask(everything, f"queues/{work['name']}/poison")
    assert answer.status == 503
    assert get(everything, "overview")["title"] == "everything"
