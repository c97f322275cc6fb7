"""Blob inputs and outputs, and the binding expressions in their paths, on a real Azurite."""

import io
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import pytest
from azure.functions.http import HttpRequest
from azure.functions.meta import Datum

from devhost.blob.blob_input import BlobInput
from devhost.blob.blob_output import BlobOutput
from devhost.errors import FunctionRefused
from devhost.indexing.binding_expression import parse_expression
from devhost.indexing.binding_rules import check_function
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.indexing.net_date_format import format_moment
from devhost.invocation.invoker import InvocationResult, Invoker
from devhost.invocation.trigger_values import trigger_values
from devhost.queue.queue_message import queue_metadata
from devhost.storage.storage_connection import StorageConnections
from tests.devhost.queue_trigger import Azurite

MOMENT = datetime(2026, 3, 4, 15, 6, 7, 89_012, tzinfo=UTC)


class Box:
    """A container of the test's own, and functions that are called on it."""

    def __init__(self, storage: StorageConnections) -> None:
        self._storage, self.name = storage, f"c{uuid.uuid4().hex[:12]}"
        self._invoker = Invoker("/", None)
        self._invoker.inputs["blob"] = BlobInput(storage).read
        self._invoker.outputs["blob"] = BlobOutput(storage).write

    async def put(self, name: str, content: bytes) -> None:
        await BlobOutput(self._storage).write(self.binding("out", name, "OUT"), Datum(content, "bytes"))

    async def get(self, name: str) -> bytes | None:
        found = await BlobInput(self._storage).read(self.binding("in", name, dataType="BINARY"))
        assert found.value is None or isinstance(found.value, bytes)
        return found.value

    async def names(self) -> list[str]:
        return [blob.name async for blob in self._storage.container("Store", self.name).list_blobs()]

    def binding(self, parameter: str, path: str, direction: str = "IN", **more: str) -> Binding:
        properties = {"path": f"{self.name}/{path}", "connection": "Store", **more}
        return Binding(parameter, "blob", direction, properties)

    async def call(
        self,
        user_function: Any,
        *bindings: Binding,
        message: bytes = b"text",
        metadata: Mapping[str, Datum] | None = None,
    ) -> InvocationResult:
        """Call a function with a queue message."""
        function = queue_function(user_function, *bindings)
        known = metadata or queue_metadata(message_id="id-1", content=message)
        return await self._invoker.invoke(function, Datum(message.decode(), "string"), known)


def nothing(msg: str) -> None:
    """A function that does nothing."""


def queue_function(user_function: Any, *bindings: Binding) -> FunctionDefinition:
    trigger = Binding("msg", "queueTrigger", "IN", {"queueName": "work"})
    everything = (trigger, *bindings)
    signature = read_signature("one", user_function, everything)
    return FunctionDefinition("one", user_function, trigger, everything, signature, is_async=False)


@pytest.fixture
async def box(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Box]:
    monkeypatch.setenv("Store", azurite.connection_string)
    storage = StorageConnections()
    yield Box(storage)
    await storage.close()


@pytest.fixture
def seen() -> list[Any]:
    """What the called function has noted."""
    return []


async def test_a_blob_comes_as_text_stream_or_bytes(box: Box, seen: list[Any]) -> None:
    def one(msg: str, text: str, stream: func.InputStream, raw: bytes) -> None:
        seen.extend([text, stream.read(), raw])

    await box.put("a/ü.txt", "grün".encode())
    result = await box.call(
        one,
        box.binding("text", "a/ü.txt"),
        box.binding("stream", "a/ü.txt"),
        box.binding("raw", "a/ü.txt", dataType="BINARY"),
    )
    assert result.error is None
    assert seen == ["grün", "grün".encode(), "grün".encode()]


async def test_what_is_not_text_comes_whole_with_data_type_binary_only(box: Box, seen: list[Any]) -> None:
    def one(msg: str, raw: func.InputStream, text: func.InputStream, marked: str) -> None:
        seen.extend([raw.read(), text.read().decode(), marked])

    content = bytes(range(256))
    await box.put("raw", content)
    await box.put("marked", b"\xef\xbb\xbfx")
    await box.call(
        one,
        box.binding("raw", "raw", dataType="BINARY"),
        box.binding("text", "raw"),
        box.binding("marked", "marked"),
    )
    assert seen == [content, content.decode(errors="replace"), "x"]


async def test_a_missing_blob_is_none(box: Box, seen: list[Any]) -> None:
    def one(msg: str, text: str, stream: func.InputStream) -> None:
        seen.extend([text, stream])

    bindings = [box.binding("text", "nowhere"), box.binding("stream", "nowhere")]
    assert (await box.call(one, *bindings)).error is None
    await box.put("somewhere", b"")
    assert (await box.call(one, *bindings)).error is None
    assert seen == [None] * 4


@pytest.mark.parametrize(
    "value",
    ["grün", "grün".encode(), io.BytesIO("grün".encode()), func.blob.InputStream(data="grün".encode())],
)
async def test_what_a_function_puts_out_is_the_blob_and_its_container_is_made(box: Box, value: Any) -> None:
    def one(msg: str, out: func.Out[func.InputStream]) -> None:
        out.set(value)

    assert (await box.call(one, box.binding("out", "x/y", "OUT"))).error is None
    assert await box.get("x/y") == "grün".encode()


async def test_a_returned_value_is_the_blob_of_return(box: Box) -> None:
    def one(msg: str) -> str:
        return f"{msg}!"

    binding = box.binding("$return", "r", "OUT")
    await box.put("r", b"a longer one that was there before")
    assert (await box.call(one, binding)).error is None
    assert await box.get("r") == b"text!"


async def test_an_output_that_is_not_set_writes_nothing(box: Box) -> None:
    def one(msg: str, out: func.Out[str]) -> None: ...

    assert (await box.call(one, box.binding("out", "x", "OUT"))).error is None
    assert await box.get("x") is None


async def test_a_function_that_fails_writes_nothing(box: Box) -> None:
    def one(msg: str, out: func.Out[str]) -> None:
        out.set("never")
        raise ValueError

    assert isinstance((await box.call(one, box.binding("out", "x", "OUT"))).error, ValueError)
    assert await box.get("x") is None


async def test_paths_take_their_names_from_the_message(box: Box, seen: list[Any]) -> None:
    def one(msg: str, text: str, out: func.Out[str]) -> None:
        out.set(text.upper())

    await box.put("in/7.txt", b"seven")
    message = b'{"Order": {"Number": 7}, "kind": "txt"}'
    result = await box.call(
        one,
        box.binding("text", "in/{order.number}.{kind}"),
        box.binding("out", "out/{id}-{dequeueCount}", "OUT"),
        message=message,
        metadata=queue_metadata(message_id="id-1", dequeue_count=3, content=message),
    )
    assert result.error is None
    assert await box.get("out/id-1-3") == b"SEVEN"


async def test_a_name_without_a_value_fails_the_call_before_the_function_runs(
    box: Box, seen: list[Any]
) -> None:
    def one(msg: str, out: func.Out[str]) -> None:
        seen.append(msg)

    result = await box.call(one, box.binding("out", "{absent}", "OUT"))
    assert result.error_text == "ValueError: No value for named parameter 'absent'."
    assert seen == []


@pytest.mark.derived
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../other-box/secret", "no parts of a path"),
        ("a/./b", "no parts of a path"),
        ("..", "ends in"),
        ("folder/", "ends in"),
        ("a\\b", "backslash"),
        ("x" * 1025, "1024 is the most"),
    ],
)
async def test_a_message_cannot_name_a_blob_outside_its_path(box: Box, name: str, reason: str) -> None:
    def one(msg: str, out: func.Out[str]) -> None:
        out.set("mine")

    result = await box.call(
        one, box.binding("out", "{name}", "OUT"), message=json.dumps({"name": name}).encode()
    )
    assert isinstance(result.error, ValueError)
    assert reason in result.error_text


@pytest.mark.parametrize("name", ["a b?c#d%41&{e}", "a/%2e%2e/b", "...a/..b", "ü"])
async def test_a_name_from_a_message_is_taken_to_the_letter(box: Box, name: str) -> None:
    def one(msg: str, out: func.Out[str]) -> None:
        out.set("mine")

    await box.call(one, box.binding("out", "up/{name}", "OUT"), message=json.dumps({"name": name}).encode())
    assert await box.names() == [f"up/{name}"]


def evaluate(text: str, **values: object) -> str:
    return parse_expression(text).evaluate(values)


@pytest.mark.derived
def test_expressions_are_read_as_the_real_host_reads_them() -> None:
    assert (
        evaluate("{p1}-p2/{{2014}}/{d3}/{name}.{ext}", p1="a", d3="b", name="c", ext="d")
        == "a-p2/{2014}/b/c.d"
    )
    assert evaluate("{A.b.C}", a={"B": {"c": True}}) == "True"
    assert evaluate("{a.b}", a={"b": {"c": [1]}}) == '{"c": [1]}'
    assert evaluate("{datetime}", datetime="mine") == "mine"
    for text in ("{rand-guid}", "{RAND-GUID:D}", "{sys.randguid}"):
        values = trigger_values(queue_function(nothing), Datum("x", "string"), {}, "i")
        assert re.fullmatch(
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", parse_expression(text).evaluate(values)
        )
    assert re.fullmatch(r"[0-9a-f]{32}", evaluate("{rand-guid:N}"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", evaluate("{DateTime}"))
    assert evaluate("{datetime:yyyy}") == str(datetime.now(UTC).year)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{a", "Missing closing bracket at position 5"),
        ("a}", "Missing opening bracket at position 6"),
        ("a{}", "The parameter name at position 6 is empty"),
        ("{1a}", "Invalid template expression '1a'"),
        ("{a b}", "Invalid template expression 'a b'"),
        ("{a-b}", "The parameter name 'a-b' is invalid"),
        ("{a..b}", r"Illegal expression: 'a\.\.b'"),
    ],
)
@pytest.mark.derived
def test_a_malformed_expression_is_refused_when_the_app_is_indexed(
    monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setenv("Store", "UseDevelopmentStorage=true")
    with pytest.raises(FunctionRefused, match=reason):
        check_function("one", [Binding("b", "blob", "IN", {"path": f"box/{text}", "connection": "Store"})])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("box", "must be in the format 'container/blob'"),
        ("box/", "must be in the format 'container/blob'"),
        ("/x", "must be in the format 'container/blob'"),
        ("Box/x", "container name 'Box' is not valid"),
        ("b-/{name}", "container name 'b-' is not valid"),
        ("%Missing%/x", "'%Missing%' does not resolve to a value"),
    ],
)
def test_a_path_that_names_no_blob_is_refused(
    monkeypatch: pytest.MonkeyPatch, path: str, reason: str
) -> None:
    monkeypatch.setenv("Store", "UseDevelopmentStorage=true")
    with pytest.raises(FunctionRefused, match=reason):
        check_function("one", [Binding("b", "blob", "OUT", {"path": path, "connection": "Store"})])


def test_a_blob_trigger_is_refused_with_a_way_round_it() -> None:
    with pytest.raises(FunctionRefused, match="'blobTrigger'; let a queue message name the blob"):
        check_function(
            "one", [Binding("b", "blobTrigger", "IN", {"path": "box/{name}", "connection": "Store"})]
        )


def http_values(request: HttpRequest) -> dict[str, object]:
    trigger = Binding("msg", "httpTrigger", "IN", {"route": "r"})
    signature = read_signature("one", nothing, [trigger])
    function = FunctionDefinition("one", nothing, trigger, (trigger,), signature, is_async=False)
    return trigger_values(function, Datum(request, "object"), {}, "inv")


def test_an_http_request_gives_its_body_query_route_and_headers() -> None:
    request = HttpRequest(
        method="POST",
        url="http://x/r",
        headers={"x-user": "ann"},
        params={"b": "query", "c": "query", "code": "key"},
        route_params={"c": "route"},
        body_type="bytes",
        body=b'{"a": "body", "b": "body", "n": {"m": 1}, "list": [1], "none": null, "code": "mine"}',
    )
    values = http_values(request)
    text = "{a} {b} {c} {n.m} {Query.b} {headers.X-User} {code} {invocationId} {sys.methodname}"
    assert parse_expression(text).evaluate(values) == "body query route 1 query ann mine inv one"
    for absent in ("{list}", "{none}", "{headers.absent}"):
        with pytest.raises(ValueError, match=r"No value|doesn't exist"):
            parse_expression(absent).evaluate(values)


@pytest.mark.parametrize("body", [b"", b"[1]", b"{", b"\xff", b"text"])
def test_a_body_that_is_no_json_object_gives_nothing(body: bytes) -> None:
    request = HttpRequest(
        method="POST", url="http://x/r", headers={}, params={}, route_params={}, body_type="bytes", body=body
    )
    assert set(http_values(request)) == {"invocationid", "sys", "query", "headers"}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("yyyy-MM-ddTHH-mm-ssK", "2026-03-04T15-06-07Z"),
        ("yy/M/d h:m:s tt", "26/3/4 3:6:7 PM"),
        ("ddd dddd MMM MMMM", "Wed Wednesday Mar March"),
        ("HH.mm.ss.fff", "15.06.07.089"),
        ("yyyy'year'\\d", "2026yeard"),
        ("o", "2026-03-04T15:06:07.0890120Z"),
        ("s", "2026-03-04T15:06:07"),
        ("zzz", "+00:00"),
    ],
)
@pytest.mark.derived
def test_moments_are_written_in_nets_formats(form: str, text: str) -> None:
    assert format_moment(MOMENT, form) == text
