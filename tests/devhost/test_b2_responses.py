"""Contract B2: from what a function returned to the response, and what HTTP cannot carry."""

from typing import Any

import azure.functions as func
import pytest
from azure.functions.http import HttpResponseConverter
from azure.functions.meta import Datum

from devhost.http.http_response import http_response
from tests.devhost.served_functions import http_function, named, serving

RESPONSES = [
    func.HttpResponse("text"),
    func.HttpResponse(b"\x00\xff", mimetype="application/octet-stream"),
    func.HttpResponse("ä", charset="latin-1"),
    func.HttpResponse("{}", mimetype="application/json", status_code=201),
    func.HttpResponse(headers={"Content-Type": "text/csv", "X-A": "1"}, status_code=204),
    func.HttpResponse("x", headers={"content-length": "99", "Location": "/y"}, status_code=302),
]


@pytest.mark.parametrize("response", RESPONSES)
def test_a_response_is_the_one_that_the_librarys_converter_makes(response: func.HttpResponse) -> None:
    direct = http_response(Datum(response, "object"))
    converted = http_response(HttpResponseConverter.encode(response, expected_type=None))
    assert direct.status == converted.status
    assert direct.body == converted.body
    assert sorted((n.lower(), v) for n, v in direct.headers.items()) == sorted(
        (n.lower(), v) for n, v in converted.headers.items()
    )


async def test_cookies_are_headers_of_their_own() -> None:
    async def bakes(req: func.HttpRequest) -> func.HttpResponse:
        response = func.HttpResponse("x")
        response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
        response.headers.add("Set-Cookie", "b=2; Max-Age=3")
        return response

    async with serving(http_function(bakes)) as served:
        _, headers = await served.headers("GET", "/api/bakes")
        assert headers.getall("Set-Cookie") == ["a=1; HttpOnly; Path=/", "b=2; Max-Age=3"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given",
    [
        {"headers": {"bad name": "x"}},
        {"headers": {"X": "a\x00b"}},
        {"headers": {"X": "\ud800"}},
        {"mimetype": "text/plain\r\nX: y"},
        {"status_code": 42},
    ],
)
async def test_what_http_cannot_carry_is_an_empty_500(given: dict[str, Any]) -> None:
    async def bad(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("x", **given)

    async with serving(http_function(bad)) as served:
        status, text = await served.call("GET", "/api/bad")
        assert (status, text) == (500, "")


@pytest.mark.parametrize("value", [None, {"a": 1}, 5, b"bytes", ["x"]])
async def test_a_value_that_is_no_response_is_an_empty_500(value: object) -> None:
    async def gives(req):  # type: ignore[no-untyped-def]
        return value

    async with serving(http_function(gives)) as served:
        assert await served.call("GET", "/api/gives") == (500, "")


async def test_a_text_is_a_response() -> None:
    async with serving(http_function(named("hello"))) as served:
        status, headers = await served.headers("GET", "/api/hello")
        assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")


@pytest.mark.parametrize("status", [100, 101, 199, 600])
def test_a_status_after_which_a_caller_would_wait_on_is_not_sent(status: int) -> None:
    with pytest.raises(ValueError, match=rf"its status is {status}"):
        http_response(Datum(func.HttpResponse("x", status_code=status), "object"))
