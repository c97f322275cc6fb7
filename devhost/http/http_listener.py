"""The HTTP side of the host: function routes, the home page, and the APIs that stand beside them."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from azure.functions.meta import Datum

from devhost.app_settings import app_setting
from devhost.http.route_template import compile_template
from devhost.indexing.binding_rules import verbs
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import Invoker

logger = logging.getLogger("devhost")
_MAX_BODY_BYTES = 104_857_600
_FRAMING_HEADERS = ("content-length", "transfer-encoding")  # the host's own: it knows the body's length
_NOT_IN_A_HEADER = re.compile(r"[\r\n\0]")
_HOME_PAGE = """<!DOCTYPE html>
<html><head><title>devhost</title></head><body>Your Functions host is up and running.</body></html>
"""

Api = Callable[[web.Request, str], Awaitable[web.Response | None]]


class HttpListener:
    """Routes each request to an API, or else to the first function whose template and verbs fit."""

    def __init__(
        self,
        functions: Sequence[FunctionDefinition],
        invoker: Invoker,
        *,
        route_prefix: str,
        apis: Sequence[Api],
    ) -> None:
        self._invoker = invoker
        self._apis = apis
        self._routes = [
            (compile_template(function.http_path(route_prefix)), verbs(function.trigger), function)
            for function in functions
        ]
        self._runner: web.AppRunner | None = None
        self._is_closed = False

    def close_functions(self) -> None:
        """Answer 503 on function routes from now on; the APIs stay."""
        self._is_closed = True

    async def start(self, address: str, port: int) -> None:
        """Bind and serve. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=5.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, address, port, reuse_address=True).start()

    async def stop(self) -> None:
        """Close the port and wait a few seconds for open requests."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw_path = request.rel_url.raw_path
        for api in self._apis:
            answer = await api(request, raw_path)
            if answer is not None:
                return answer
        for template, allowed, function in self._routes:
            parameters = template.match(raw_path)
            if parameters is not None and (not allowed or request.method in allowed):
                if self._is_closed:
                    return web.Response(status=503)
                return await self._call(function, request, parameters)
        if raw_path == "/" and request.method in ("GET", "HEAD"):
            if (app_setting("AzureWebJobsDisableHomepage") or "").lower() == "true":
                return web.Response(status=204)
            return web.Response(text=_HOME_PAGE, content_type="text/html")
        return web.Response(status=404)

    async def _call(
        self, function: FunctionDefinition, request: web.Request, parameters: dict[str, str]
    ) -> web.StreamResponse:
        body = b""
        if request.content_length:
            body = await request.read()
        elif request.can_read_body:
            logger.warning(
                "A chunked request body is not handed to 'Functions.%s', as on the real host.", function.name
            )
        result = await self._invoker.invoke(function, http_datum(request, parameters, body))
        if result.error is not None or result.returned is None:
            return web.Response(status=500)
        try:
            return http_response(result.returned)
        except ValueError as error:
            logger.error("The response of 'Functions.%s' cannot be sent: %s", function.name, error)
            return web.Response(status=500)


def http_datum(request: web.Request, parameters: dict[str, str], body: bytes) -> Datum:
    """Trigger value of an HTTP function: header names in lower case, several values joined by a comma."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if value:
            query[name] = f"{query[name]},{value}" if name in query else value
    url = f"{request.scheme}://{request.host}{request.raw_path}"
    return Datum(
        {
            "method": Datum(request.method, "string"),
            "url": Datum(url, "string"),
            "headers": {name: Datum(value, "string") for name, value in headers.items()},
            "query": {name: Datum(value, "string") for name, value in query.items()},
            "params": {name: Datum(value, "string") for name, value in parameters.items()},
            "body": Datum(body, "bytes"),
        },
        "http",
    )


def http_response(datum: Datum) -> web.Response:
    """Response from what the http converter encoded. Raises ValueError when HTTP cannot carry it."""
    if datum.type != "http":
        return web.Response(text=str(datum.value))
    value = datum.value
    status = int(value["status_code"].value)
    if not 200 <= status <= 599:  # after a 1xx the client would wait for another response
        raise ValueError(f"its status is {status}, which is not one of 200 to 599.")
    response = web.Response(status=status, body=value["body"].value)
    for name, header in value["headers"].items():
        if _NOT_IN_A_HEADER.search(f"{name}{header.value}"):
            raise ValueError("one of its headers has a line break in it.")
        if name.lower() not in _FRAMING_HEADERS:
            response.headers[name] = header.value
    for cookie in value["cookies"] or ():
        for morsel in cookie.values():
            response.headers.add("Set-Cookie", morsel.OutputString())
    return response
