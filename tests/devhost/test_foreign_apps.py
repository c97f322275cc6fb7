"""Apps that are not ours in shape: blueprints and entities, classic HTTP, and some that do not index."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import BinaryBase64DecodePolicy, QueueClient

from devhost.storage.storage_connection import STORAGE_API_VERSION
from local.azurite import Azurite
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until
from tests.devhost.written_app import write_app


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    host = DevhostProcess("blueprints_and_entities", tmp_path_factory.mktemp("shop")).wait_until_up()
    yield host
    assert host.stop() == 0, host.log


def fill(shop: DevhostProcess, item: str, count: int) -> None:
    before = stock(shop, item) or 0
    assert shop.call("POST", f"/api/stock/{item}", str(count)).status == 202
    until(lambda: (stock(shop, item) or 0) == before + count, why=shop.log[-2000:])


def stock(shop: DevhostProcess, item: str) -> int | None:
    answer = shop.call("GET", f"/api/stock/{item}")
    return int(answer.json()) if answer.status == 200 else None


def order(shop: DevhostProcess, order_id: str, *lines: tuple[str, int], patience: int = 60) -> Any:
    given = {"lines": [{"item": item, "count": count} for item, count in lines], "patience": patience}
    answer = shop.call("PUT", f"/api/orders/{order_id}", json.dumps(given))
    assert answer.status == 202, shop.log
    return answer.json()


def test_functions_of_many_blueprints_are_there(shop: DevhostProcess) -> None:
    assert shop.call("GET", "/api/health").text == "fine"
    names = {function["name"] for function in shop.call("GET", "/admin/functions").json()}
    assert {"stock_entity", "fill_stock", "place_order_flow", "price_of_a_line", "price_of"} <= names
    assert shop.call("GET", "/admin/host/status").json()["state"] == "Running"


def test_an_entity_is_not_there_before_its_first_signal(shop: DevhostProcess) -> None:
    assert stock(shop, "nothing-of-this") is None


def test_an_order_takes_from_the_stock_and_waits_to_be_paid(
    shop: DevhostProcess,
) -> None:
    fill(shop, "pear", 10)
    fill(shop, "plum", 10)
    links = order(shop, "order-1", ("pear", 2), ("plum", 5))
    until(lambda: shop.status("order-1")["customStatus"] == {"due": 16}, why=shop.log[-3000:])
    assert (stock(shop, "pear"), stock(shop, "plum")) == (8, 5)
    assert links["id"] == "order-1"
    line = shop.status("order-1:1")
    assert (line["name"], line["output"], line["customStatus"]) == ("order_line", 10, "5 left")
    assert shop.call("POST", "/api/orders/order-1/paid", "16").status == 202
    ended = shop.ended("order-1")
    assert ended["runtimeStatus"] == "Completed"
    assert ended["output"] == {"state": "paid", "total": 16, "receipt": "order-1: 16"}
    assert stock(shop, "sold") == 7


def test_an_order_that_is_not_paid_is_cancelled_by_its_timer(shop: DevhostProcess) -> None:
    fill(shop, "pear", 5)
    order(shop, "order-2", ("pear", 1), patience=1)
    assert shop.ended("order-2")["output"] == {"state": "cancelled", "total": 3}
    assert "order-2 is not paid" in shop.log


def test_an_operation_that_fails_fails_the_orchestration_that_called_it(shop: DevhostProcess) -> None:
    order(shop, "order-3", ("pear", 1000))
    ended = shop.ended("order-3")
    assert ended["runtimeStatus"] == "Failed"
    assert "left" in ended["output"]


def test_a_restart_goes_on_with_orders_and_stock(start_host: StartHost) -> None:
    shop = start_host("blueprints_and_entities").wait_until_up()
    fill(shop, "plum", 4)
    order(shop, "order-9", ("plum", 1))
    until(lambda: shop.status("order-9")["customStatus"] == {"due": 2})
    assert shop.stop() == 0
    again = start_host("blueprints_and_entities").wait_until_up()
    assert stock(again, "plum") == 3
    assert again.call("POST", "/api/orders/order-9/paid", "2").status == 202
    assert again.ended("order-9")["output"]["state"] == "paid"


@pytest.fixture(scope="module")
def notes(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    environment = {"AzureWebJobsStorage": azurite.connection_string}
    place = tmp_path_factory.mktemp("notes")
    host = DevhostProcess("classic_http", place, environment=environment).wait_until_up()
    yield host
    assert host.stop() == 0, host.log


def blob(azurite: Azurite, container: str, name: str) -> bytes | None:
    with BlobServiceClient.from_connection_string(
        azurite.connection_string, api_version=STORAGE_API_VERSION
    ) as service:
        try:
            return bytes(service.get_blob_client(container, name).download_blob().readall())
        except ResourceNotFoundError:
            return None


def queued(azurite: Azurite, name: str) -> list[bytes]:
    with QueueClient.from_connection_string(
        azurite.connection_string,
        name,
        api_version=STORAGE_API_VERSION,
        message_decode_policy=BinaryBase64DecodePolicy(),
    ) as queue:
        try:
            return [bytes(message.content) for message in queue.peek_messages(32)]
        except ResourceNotFoundError:
            return []


def test_a_note_is_written_to_a_blob_and_its_words_are_counted_over_queues(
    notes: DevhostProcess, azurite: Azurite
) -> None:
    number = int.from_bytes(os.urandom(3), "big")
    path = f"/v1/notes/{number}"
    assert notes.call("GET", path).status == 404
    assert notes.call("PUT", path, "three plain words").status == 201
    assert blob(azurite, "notes", f"{number}.txt") == b"three plain words"
    counted = until(lambda: blob(azurite, "counts", f"{number}.json"))
    assert json.loads(counted) == {"id": str(number), "words": 3, "tried": 1}
    until(lambda: f"{number}=3".encode() in queued(azurite, "notes-counted"))
    read = notes.call("GET", path)
    assert (read.text, read.headers["x-note"]) == ("three plain words", str(number))
    assert read.headers["x-frame-options"] == "DENY"


def test_what_fits_no_route_is_not_found_and_an_empty_note_is_refused(notes: DevhostProcess) -> None:
    assert notes.call("GET", "/v1/notes/one").status == 404
    assert notes.call("DELETE", "/v1/notes/1").status == 404
    refused = notes.call("POST", "/v1/notes/1", "")
    assert (refused.status, refused.text) == (400, "A note needs a text.")


def test_generic_decorators_make_the_same_function(notes: DevhostProcess) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = notes.call("POST", "/v1/echo/a/b?c=d", "e=f", form)
    assert answer.json() == {"rest": "a/b", "query": {"c": "d"}, "form": {"e": "f"}}
    assert notes.call("GET", "/v1/echo/a").status == 404


def test_a_function_with_a_binding_that_devhost_lacks_is_refused_alone(notes: DevhostProcess) -> None:
    assert notes.call("POST", "/v1/events", "x").status == 404
    assert (
        "The 'send_event' function is in error: devhost does not know the binding type 'eventHub'"
        in notes.log
    )
    status = notes.call("GET", "/admin/host/status").json()
    assert any("send_event" in error for error in status["errors"])


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (
            "two_apps",
            "ValueError: More than one FunctionApp or other top level function app instances are defined.",
        ),
        (
            "only_a_blueprint",
            "ValueError: Could not find top level function app instances in function_app.py.",
        ),
        ("missing_module", "ModuleNotFoundError: No module named 'library_that_nobody_installed'."),
        ("bad_signature", "FunctionLoadError: cannot load the work function: the following parameters are"),
        ("no_trigger", "ValueError: Function sends does not have a trigger."),
        ("twice_the_name", "ValueError: Function Hello does not have a unique function name."),
    ],
)
def test_an_app_that_does_not_index_leaves_the_host_up_without_functions(
    start_host: StartHost, app: str, reason: str
) -> None:
    host = start_host(f"does_not_index/{app}").wait_until_up()
    assert host.call("GET", "/").status == 200
    assert host.call("GET", "/api/hello").status == 404
    assert host.call("GET", "/admin/functions").json() == []
    status = host.call("GET", "/admin/host/status").json()
    assert status["state"] == "Error"
    assert status["errors"][0].startswith(reason)
    assert reason in host.log
    assert host.stop() == 0


ASGI = """
async def answers(scope, receive, send):
    while scope["type"] == "lifespan":
        await send({"type": (await receive())["type"] + ".complete"})
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 201, "headers": [(b"x-kind", b"asgi")]})
    await send({"type": "http.response.body", "body": scope["path"].encode() + b" " + body})
app = func.AsgiFunctionApp(answers, http_auth_level=func.AuthLevel.ANONYMOUS)
"""
WSGI = """
def answers(environ, start_response):
    start_response("201 Created", [("x-kind", "wsgi")])
    return [environ["PATH_INFO"].encode(), b" ", environ["wsgi.input"].read()]
app = func.WsgiFunctionApp(answers, http_auth_level=func.AuthLevel.ANONYMOUS)
"""


@pytest.mark.parametrize(("text", "kind"), [(ASGI, "asgi"), (WSGI, "wsgi")])
def test_an_app_of_a_web_framework_answers_on_every_path(
    start_host: StartHost, tmp_path: Path, text: str, kind: str
) -> None:
    prefix = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
    host = start_host(write_app(tmp_path / "app", text, prefix)).wait_until_up()
    for path in ("/", "/some/where"):
        answer = host.call("POST", path, "body")
        assert (answer.status, answer.headers["x-kind"], answer.text) == (201, kind, f"{path} body")
