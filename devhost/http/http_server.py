"""The server below the listener: aiohttp's, without its router, with our own words for what is no HTTP."""

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, http_exceptions, web

from devhost.app_settings import app_setting

logger = logging.getLogger("devhost")

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_USUAL_BODY_BYTES = 104_857_600
_MAX_LINE_BYTES = 8_192  # Kestrel's limits
_MAX_HEADER_BYTES = 32_768
_SHUTDOWN_SECONDS = 1.0  # for what is being sent; functions had their time before


class _Connection(web.RequestHandler):
    """One connection of a caller."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what the host could not answer, without a word about the reason."""
        if request.writer.output_size > 0:
            raise ConnectionError("A part of the response is sent already.")
        if isinstance(exc, web.RequestPayloadError):
            status = 400
        if status < 500:
            if isinstance(exc, http_exceptions.LineTooLong):
                status = 431
            logger.info("Refused with %d what a caller sent: it is no HTTP (%s).", status, type(exc).__name__)
        elif isinstance(exc, ConnectionError):
            logger.info("A caller was gone before its request was whole.")
        else:
            logger.error("The host could not answer a request.", exc_info=exc)
        response = web.Response(status=status)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class HttpServer:
    """Listens on one port and hands each request to `answer`."""

    def __init__(self, answer: Answerer) -> None:
        self._answer: Any = answer  # it takes web.Request, which is what `_request_factory` makes
        self._runner: web.ServerRunner | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve on a socket that is bound; stopping closes it."""
        server = _Server(
            self._answer,
            request_factory=_request_factory(_most_body_bytes()),
            access_log=None,
            auto_decompress=False,  # a function gets the bytes that were sent
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Close the port and wait a moment for open requests."""
        if self._runner is not None:
            await self._runner.cleanup()


def _most_body_bytes() -> int:
    """The app setting FUNCTIONS_REQUEST_BODY_SIZE_LIMIT, as on the real host; else 100 MiB."""
    given = app_setting("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or ""
    return int(given) if given.isdigit() and int(given) else _USUAL_BODY_BYTES


def _request_factory(most_body_bytes: int) -> Any:
    def request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.Request:
        return web.Request(
            message, payload, protocol, writer, task, task.get_loop(), client_max_size=most_body_bytes
        )

    return request


async def send_continue(request: web.BaseRequest) -> None:
    """Tell a caller that waits for it that its body is welcome."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response itself has not begun
