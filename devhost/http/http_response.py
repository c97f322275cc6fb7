"""The response to a caller, made of what an HTTP function returned."""

import re
from functools import lru_cache
from http.cookies import CookieError

import azure.functions as func
from aiohttp import hdrs, web
from azure.functions.http import HttpResponseConverter
from azure.functions.meta import Datum
from multidict import CIMultiDict

_FRAMING_HEADERS = ("content-length", "transfer-encoding")  # the host's own: it knows the body's length
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_A_VALUE = re.compile(r"[\r\n\0\ud800-\udfff]")


def http_response(datum: Datum) -> web.Response:
    """Response from what the function returned. Raises ValueError when HTTP cannot carry it."""
    if datum.type == "object":
        return _response(datum.value)
    if datum.type != "http":
        return web.Response(text=str(datum.value))
    return _response_with_cookies(datum)


def _response(returned: func.HttpResponse) -> web.Response:
    """What the library's converter and `_response_with_cookies` would make of it, in a sixth of the time."""
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in returned.headers:
        lower = name.lower()
        if lower == "set-cookie":
            try:
                return _response_with_cookies(HttpResponseConverter.encode(returned, expected_type=None))
            except CookieError as error:
                raise ValueError(f"one of its cookies is not valid: {error}") from None
        if lower not in _FRAMING_HEADERS:
            check_header(name, value)
            headers[name] = value
    if hdrs.CONTENT_TYPE not in headers:
        headers[hdrs.CONTENT_TYPE] = _content_type(returned.mimetype, returned.charset)
    return web.Response(
        status=_checked_status(returned.status_code), body=returned.get_body(), headers=headers
    )


def _response_with_cookies(datum: Datum) -> web.Response:
    value = datum.value
    response = web.Response(status=_checked_status(value["status_code"].value), body=value["body"].value)
    for name, header in value["headers"].items():
        if name.lower() not in _FRAMING_HEADERS:
            check_header(name, header.value)
            response.headers[name] = header.value
    for cookie in value["cookies"] or ():
        for morsel in cookie.values():
            text = morsel.OutputString()
            check_header("Set-Cookie", text)
            response.headers.add("Set-Cookie", text)
    return response


def _checked_status(given: object) -> int:
    status = given if isinstance(given, int) else int(str(given))
    if not 200 <= status <= 599:  # after a 1xx the client would wait for another response
        raise ValueError(f"its status is {status}, which is not one of 200 to 599.")
    return status


def check_header(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError("one of its headers has a name that HTTP does not allow.")
    if _NOT_IN_A_VALUE.search(value):
        raise ValueError("one of its headers has a line break in it, or what cannot be encoded.")


@lru_cache(maxsize=256)
def _content_type(mimetype: str, charset: str) -> str:
    content_type = f"{mimetype}; charset={charset}" if mimetype.startswith("text/") else mimetype
    check_header("Content-Type", content_type)
    return content_type
