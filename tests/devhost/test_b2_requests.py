"""Contract B2 and B1: from a request to the function's parameter, and what is refused on the way."""

import asyncio
import json
import re
from typing import Any

import azure.functions as func
import pytest
from aiohttp import web
from azure.functions.http import HttpRequest, HttpRequestConverter

from devhost.http.http_request import http_datum, http_object
from devhost.http.http_settings import HttpSettings
from devhost.http.request_path import read_path
from tests.devhost.served_functions import Served, http_function, named, serving


async def tell(req: func.HttpRequest) -> func.HttpResponse:
    """All of the request, as JSON."""
    told = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(told), mimetype="application/json")


async def told(served: Served, method: str, path: str, **options: Any) -> dict[str, Any]:
    status, text = await served.call(method, path, **options)
    assert status == 200, text
    found: dict[str, Any] = json.loads(text)
    return found


async def test_a_request_reaches_the_function_whole() -> None:
    async with serving(http_function(tell, "items/{id:int}/{*rest}")) as served:
        found = await told(served, "PUT", "/api/items/7/a/b?x=1&y=2", data=b"\x00\xffbody")
        assert found["method"] == "PUT"
        assert found["url"] == f"http://127.0.0.1:{served.port}/api/items/7/a/b?x=1&y=2"
        assert found["params"] == {"x": "1", "y": "2"}
        assert found["route_params"] == {"id": "7", "rest": "a/b"}
        assert found["body"] == "\x00\xffbody"


async def test_header_names_are_in_lower_case_and_values_of_one_name_are_joined() -> None:
    async with serving(http_function(tell, "tell")) as served:
        headers = [("X-Many", "a"), ("X-Many", "b"), ("Cookie", "not; a=va{id]cookie;;"), ("X-Empty", "")]
        found = (await told(served, "GET", "/api/tell", headers=headers))["headers"]
        assert found["x-many"] == "a,b"
        assert found["x-empty"] == ""
        assert found["cookie"] == "not; a=va{id]cookie;;"
        assert [name for name in found if name != name.lower()] == []


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("a=1&a=2&b=&c", {"a": "1,2"}),
        ("a=1&A=2", {"a": "1,2"}),
        ("a=x+y&b=x%20y&c=%2B", {"a": "x y", "b": "x y", "c": "+"}),
        ("a=%C3%A4", {"a": "ä"}),
        ("a=%zz&b=%", {"a": "%zz", "b": "%"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("=1", {"": "1"}),
    ],
)
async def test_query_values_are_decoded_joined_and_dropped_when_empty(
    query: str, params: dict[str, str]
) -> None:
    async with serving(http_function(tell, "tell")) as served:
        assert (await told(served, "GET", f"/api/tell?{query}"))["params"] == params


@pytest.mark.derived
@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/api/a%20b", "/api/a b"),
        ("/api/%c3%a4", "/api/ä"),
        ("/api/a%2Fb%2fc", "/api/a%2Fb%2fc"),
        ("/api/a+b", "/api/a+b"),
        ("/api/%zz%", "/api/%zz%"),
        ("/api/%ff%41", "/api/%FFA"),
        ("/api/x/../y/./z", "/api/y/z"),
        ("/api/x/%2e%2e/y", "/api/y"),
        ("/../../api/x/..", "/api/"),
        ("/api/a..b/...", "/api/a..b/..."),
    ],
)
def test_a_path_is_read_as_kestrel_reads_it(raw: str, path: str) -> None:
    assert read_path(raw)[0] == path


async def test_a_path_with_a_nul_is_refused() -> None:
    async with serving(http_function(tell, "{name}")) as served:
        assert await served.call("GET", "/api/a%00b") == (400, "")
        assert (await told(served, "GET", "/api/a%2500b"))["route_params"] == {"name": "a%00b"}


async def test_escapes_in_a_literal_and_bad_ones_in_a_parameter() -> None:
    async with serving(http_function(tell, "hello/{name}")) as served:
        found = await told(served, "GET", "/API/hel%6Co/100%25-%zz")
        assert found["route_params"] == {"name": "100%-%zz"}


async def test_the_first_registered_function_that_fits_answers() -> None:
    functions = [
        http_function(named("posted"), "items/{id:int}", methods=["POST"]),
        http_function(named("number"), "items/{id:int}"),
        http_function(named("name"), "items/{name}"),
        http_function(named("never"), "items/special"),
        http_function(named("rest"), "{*rest}", methods=["GET"]),
        http_function(named("hidden"), "later"),
    ]
    async with serving(*functions) as served:
        for method, path, answer in (
            ("POST", "/api/items/5", "posted"),
            ("GET", "/api/items/5", "number"),
            ("GET", "/api/items/special", "name"),
            ("GET", "/api/later", "rest"),
            ("PUT", "/api/later", "hidden"),
            ("GET", "/API/Items/X/", "name"),
            ("GET", "/api", "rest"),
        ):
            assert await served.call(method, path) == (200, answer), path


@pytest.mark.parametrize("prefix", ["", "v1", "v1/nested"])
async def test_the_route_prefix_may_be_empty_or_nested(prefix: str) -> None:
    settings = HttpSettings(route_prefix=prefix)
    async with serving(http_function(named("hello")), settings=settings) as served:
        assert await served.call("GET", f"/{prefix}/hello" if prefix else "/hello") == (200, "hello")
        assert (await served.call("GET", "/api/hello"))[0] == 404


async def test_verbs_are_a_part_of_the_route() -> None:
    async with serving(
        http_function(named("read"), methods=["GET", "post"]), http_function(named("every"))
    ) as served:
        for verb in ("PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"):
            assert (await served.call(verb, "/api/read"))[0] == 404, verb
        for verb in ("PUT", "DELETE", "OPTIONS", "PATCH"):
            assert await served.call(verb, "/api/every") == (200, "every"), verb
        assert await served.call("POST", "/api/read") == (200, "read")
        status, headers = await served.headers("HEAD", "/api/every")
        assert (status, headers["Content-Length"]) == (200, "5")


async def test_a_body_without_a_length_arrives_empty(caplog: pytest.LogCaptureFixture) -> None:
    async def chunks() -> Any:
        yield b"body"

    async with serving(http_function(tell, "tell")) as served:
        assert (await told(served, "POST", "/api/tell", data=chunks()))["body"] == ""
        assert (await told(served, "POST", "/api/tell", data=b"body"))["body"] == "body"
    assert [record.message for record in caplog.records].count(
        "A chunked request body is not handed to 'Functions.tell', as on the real host."
    ) == 1


async def test_a_compressed_body_is_handed_on_as_it_is() -> None:
    async with serving(http_function(tell, "tell")) as served:
        headers = {"Content-Encoding": "gzip"}
        assert (await told(served, "POST", "/api/tell", data=b"no gzip", headers=headers))[
            "body"
        ] == "no gzip"


async def test_a_caller_that_waits_for_it_is_told_to_go_on() -> None:
    async with serving(http_function(tell, "tell")) as served:
        found = await told(served, "POST", "/api/tell", data=b"body", expect100=True)
        assert found["body"] == "body"


async def test_a_body_that_is_too_large_is_413() -> None:
    async with serving(http_function(tell, "tell")) as served:
        head = b"POST /api/tell HTTP/1.1\r\nHost: x\r\nContent-Length: 104857601\r\nConnection: close\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(head)
        block = b"x" * 1_048_576
        for _ in range(101):
            writer.write(block[: 1 if _ == 100 else None])
            await writer.drain()
        assert (await asyncio.wait_for(reader.read(12), 20)) == b"HTTP/1.1 413"
        writer.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /api/tell HTTP/1.1\r\n\r\n", b"400"),
        (b"no http at all\r\n\r\n", b"400"),
        (b"GET /api/tell HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", b"431"),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"431"),
        (b"GET /api/tell HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 3_000 + b"\r\n", b"4"),
        (b"GET /api/tell HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", b"400"),
        (b"GET /api/te\x00ll HTTP/1.1\r\nHost: x\r\n\r\n", b"400"),
        (b"GET /api/tell HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /api/tell HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", b"4"),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET //api/tell HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /api/tell?%00=%00&\xff HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", b""),
    ],
)
async def test_what_is_no_http_gets_a_4xx_without_a_word(
    request_bytes: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(http_function(tell, "tell")) as served:
        answer = await served.raw(request_bytes)
        assert re.match(rb"HTTP/1\.[01] " + status, answer), answer[:200]
        assert answer[9:10] != b"5"
        assert b"Traceback" not in answer
        assert "Traceback" not in caplog.text
        assert (await served.call("GET", "/api/tell"))[0] == 200


async def test_the_size_of_a_body_may_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "10")
    async with serving(http_function(tell, "tell")) as served:
        assert (await told(served, "POST", "/api/tell", data=b"x" * 10))["body"] == "x" * 10
        assert (await served.call("POST", "/api/tell", data=b"x" * 11))[0] == 413


async def test_a_request_may_name_its_whole_url() -> None:
    async with serving(http_function(tell, "tell")) as served:
        answer = await served.raw(b"GET http://x.example/api/tell?a=1 HTTP/1.1\r\nHost: x.example\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")


async def test_a_caller_that_goes_away_does_not_end_the_function() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def patient(req: func.HttpRequest) -> str:
        begun.set()
        await asyncio.sleep(0.05)
        ended.set()
        return "done"

    async with serving(http_function(patient)) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /api/patient HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(begun.wait(), 10)
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(ended.wait(), 10)
        assert await served.call("GET", "/api/patient") == (200, "done")


@pytest.mark.derived
async def test_more_requests_than_may_be_held_are_429_and_others_wait_for_a_place() -> None:
    running, most, gate = 0, 0, asyncio.Event()

    async def slow(req: func.HttpRequest) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return "done"

    settings = HttpSettings(max_concurrent=2, max_outstanding=3)
    async with serving(http_function(slow), settings=settings) as served:
        calls = [asyncio.create_task(served.call("GET", "/api/slow")) for _ in range(6)]
        done, _ = await asyncio.wait(calls, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 3:
            more, _ = await asyncio.wait(
                [call for call in calls if call not in done], timeout=10, return_when=asyncio.FIRST_COMPLETED
            )
            assert more
            done |= more
        assert {call.result() for call in done} == {(429, "")}
        gate.set()
        answers = await asyncio.gather(*calls)
        assert sorted(answers) == [(200, "done")] * 3 + [(429, "")] * 3
        assert most == 2
        assert await served.call("GET", "/api/slow") == (200, "done")


async def test_functions_are_503_once_the_host_stops_and_the_apis_stay() -> None:
    async def api(request: web.Request, path: str) -> web.Response | None:
        return web.Response(text="api") if path == "/admin/x" else None

    async with serving(http_function(named("hello")), apis=[api]) as served:
        served.listener.close_functions()
        assert (await served.call("GET", "/api/hello"))[0] == 503
        assert await served.call("GET", "/admin/x") == (200, "api")


async def test_the_home_page_is_there_unless_it_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as served:
        status, headers = await served.headers("GET", "/")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert (await served.call("HEAD", "/"))[0] == 200
        monkeypatch.setenv("AzureWebJobsDisableHomepage", "TRUE")
        assert await served.call("GET", "/") == (204, "")


@pytest.mark.derived
async def test_custom_headers_go_with_every_answer_that_has_none_of_the_name() -> None:
    async def own(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("own", headers={"X-Frame-Options": "own"})

    settings = HttpSettings(custom_headers={"X-Frame-Options": "DENY", "X-More": "1"})
    async with serving(http_function(own), settings=settings) as served:
        status, headers = await served.headers("GET", "/api/own")
        assert (status, headers["X-Frame-Options"], headers["X-More"]) == (200, "own", "1")
        status, headers = await served.headers("GET", "/api/nothing")
        assert (status, headers["X-Frame-Options"], headers["X-More"]) == (404, "DENY", "1")


async def test_the_request_object_is_the_one_that_the_librarys_converter_makes() -> None:
    pairs: list[tuple[Any, Any]] = []

    async def api(request: web.Request, path: str) -> web.Response | None:
        body, parameters = await request.read(), {"name": "x"}
        made = http_object(request, parameters, body).value
        converted = HttpRequestConverter.decode(http_datum(request, parameters, body), trigger_metadata={})
        pairs.append((made, converted))
        return web.Response()

    async with serving(apis=[api]) as served:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        await served.call("POST", "/x?a=1&a=2&b=", data=b"f=1&g=2", headers=form)
        await served.call("POST", "/x", data=b'{"a": [1]}', headers=[("X-A", "1"), ("x-a", "2")])
        await served.call("GET", "/x")
    for made, converted in pairs:
        assert type(made) is type(converted) is HttpRequest
        for name in ("method", "url", "params", "route_params", "form"):
            assert getattr(made, name) == getattr(converted, name)
        assert dict(made.headers) == dict(converted.headers)
        assert type(made.headers) is type(converted.headers)
        assert type(made.params) is type(converted.params)
        assert made.get_body() == converted.get_body()
        assert _json_or_error(made) == _json_or_error(converted)
    assert len(pairs) == 3


def _json_or_error(request: func.HttpRequest) -> object:
    try:
        return request.get_json()
    except ValueError as error:
        return (type(error), str(error))
