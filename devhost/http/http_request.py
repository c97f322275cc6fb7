"""The trigger value of an HTTP function, made from a request of the server."""

from collections.abc import Mapping

from aiohttp import web
from azure.functions.http import HttpRequest
from azure.functions.meta import Datum


def headers_of(request: web.BaseRequest) -> dict[str, str]:
    """Headers with their names in lower case; several of one name are joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    return headers


def query_of(request: web.BaseRequest) -> dict[str, str]:
    """Query values: empty ones are dropped, several of one name, in any case, are joined by a comma."""
    query: dict[str, str] = {}
    names: dict[str, str] = {}
    for given, value in request.query.items():
        if value:
            name = names.setdefault(given.lower(), given)
            query[name] = f"{query[name]},{value}" if name in query else value
    return query


def url_of(request: web.BaseRequest) -> str:
    """The URL as the caller wrote it: scheme, Host header, path and query."""
    target = request.raw_path
    return f"http://{request.headers.get('Host', '')}{target}" if target.startswith("/") else target


def http_object(request: web.BaseRequest, parameters: Mapping[str, str], body: bytes) -> Datum:
    """The HttpRequest that the library's converter would make of `http_datum`, in half the time."""
    made = HttpRequest(
        method=request.method,
        url=url_of(request),
        headers=headers_of(request),
        params=query_of(request) if "?" in request.raw_path else {},
        route_params=dict(parameters),
        body_type="bytes",
        body=body,
    )
    return Datum(made, "object")


def http_datum(request: web.BaseRequest, parameters: Mapping[str, str], body: bytes) -> Datum:
    """The value as it crosses from the host to the worker; a converter makes the parameter of it."""
    return Datum(
        {
            "method": Datum(request.method, "string"),
            "url": Datum(url_of(request), "string"),
            "headers": _strings(headers_of(request)),
            "query": _strings(query_of(request)),
            "params": _strings(parameters),
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def _strings(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(value, "string") for name, value in values.items()}
