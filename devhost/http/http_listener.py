"""The HTTP side of the host: function routes, the home page, and the APIs that stand beside them."""

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import hdrs, web
from azure.functions.meta import Datum

from devhost.app_settings import app_setting
from devhost.http.authorization import Authorization
from devhost.http.cors import CorsPolicy
from devhost.http.http_request import http_datum, http_object
from devhost.http.http_response import http_response
from devhost.http.http_server import HttpServer, send_continue
from devhost.http.http_settings import HttpSettings
from devhost.http.request_limits import RequestLimits, TooManyRequests
from devhost.http.request_path import read_path
from devhost.http.routing import Match, RouteTable
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import Invoker

logger = logging.getLogger("devhost")
_PAGE_PATH = "/devhost"
_HOME_PAGE = """<!DOCTYPE html>
<html><head><title>devhost</title></head><body>Your Functions host is up and running.</body></html>
"""

Api = Callable[[web.Request, str], Awaitable[web.StreamResponse | None]]


class HttpListener:
    """Routes each request to an API, or else to the first function whose template and verbs fit."""

    def __init__(
        self,
        functions: Sequence[FunctionDefinition],
        invoker: Invoker,
        *,
        settings: HttpSettings,
        authorization: Authorization,
        cors: CorsPolicy | None,
        apis: Sequence[Api],
    ) -> None:
        self._invoker, self._apis = invoker, apis
        self._authorization, self._cors = authorization, cors
        self._custom_headers = settings.custom_headers
        self._limits = RequestLimits(concurrent=settings.max_concurrent, outstanding=settings.max_outstanding)
        self._routes = RouteTable(functions, settings.route_prefix)
        is_plain = cors is None and not settings.custom_headers
        self._server = HttpServer(self._answer if is_plain else self._answer_with_headers)
        self._is_closed = False

    def close_functions(self) -> None:
        """Answer 503 on function routes from now on; the APIs stay."""
        self._is_closed = True

    async def start(self, listener: socket.socket) -> None:
        """Serve on a socket that is bound; stopping closes it."""
        await self._server.start(listener)

    async def stop(self) -> None:
        """Close the port and wait a few seconds for open requests."""
        await self._server.stop()

    async def _answer_with_headers(self, request: web.Request) -> web.StreamResponse:
        # No other origin has any business with devhost's own page, whatever the app's policy is.
        cors = None if request.raw_path.lower().startswith(_PAGE_PATH) else self._cors
        preflight = cors.preflight(request) if cors else None
        answer: web.StreamResponse
        if preflight is not None:
            answer = preflight
        else:
            try:
                answer = await self._answer(request)
            except web.HTTPException as refusal:
                answer = web.Response(status=refusal.status)
            if cors:
                cors.mark(request, answer)
        for name, value in self._custom_headers.items():
            answer.headers.setdefault(name, value)
        return answer

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if hdrs.HOST not in request.headers and request.version >= (1, 1):
            return web.Response(status=400)
        if hdrs.EXPECT in request.headers:
            await send_continue(request)
        match = self._routes.find_literal(request.raw_path.partition("?")[0], request.method)
        if match is not None:
            return await self._limited_call(match, request)
        try:
            path, escaped = read_path(request.rel_url.raw_path)
        except ValueError:
            return web.Response(status=400)
        answer = await self._answer_of_an_api(request, path, escaped)
        if answer is not None:
            return answer
        match = self._routes.find(path, request.method)
        if match is not None:
            return await self._limited_call(match, request)
        return _home_page() if path == "/" else web.Response(status=404)

    async def _answer_of_an_api(
        self, request: web.Request, path: str, escaped: str
    ) -> web.StreamResponse | None:
        if path.startswith("//") or not self._authorization.sees_api(path, request):
            return None
        if not self._authorization.may_use_api(path, request):
            return web.Response(status=401)
        for api in self._apis:
            answer = await api(request, escaped)
            if answer is not None:
                return answer
        return None

    async def _limited_call(self, match: Match, request: web.Request) -> web.StreamResponse:
        if self._is_closed:
            return web.Response(status=503)
        if self._limits.is_none:
            return await self._call(match, request)
        try:
            async with self._limits.place():
                return await self._call(match, request)
        except TooManyRequests:
            return web.Response(status=429)

    async def _call(self, match: Match, request: web.Request) -> web.StreamResponse:
        function = match.route.function
        if not self._authorization.may_call(function, request):
            return web.Response(status=401)
        result = await self._invoker.invoke(function, await _trigger_value(match, request))
        if result.error is not None or result.returned is None:
            return web.Response(status=500)
        try:
            return http_response(result.returned)
        except ValueError as error:
            logger.error("The response of 'Functions.%s' cannot be sent: %s", function.name, error)
            return web.Response(status=500)


async def _trigger_value(match: Match, request: web.Request) -> Datum:
    function, body = match.route.function, b""
    if request.content_length:
        body = await request.read()
    elif request.can_read_body:
        logger.warning(
            "A chunked request body is not handed to 'Functions.%s', as on the real host.", function.name
        )
    has_converter = function.signature.converters.get(function.trigger.name) == "httpTrigger"
    return (http_object if has_converter else http_datum)(request, match.parameters, body)


def _home_page() -> web.Response:
    if (app_setting("AzureWebJobsDisableHomepage") or "").lower() == "true":
        return web.Response(status=204)
    return web.Response(text=_HOME_PAGE, content_type="text/html")
