"""A Bot Connector on loopback that keeps what it is sent and answers what it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


class ConnectorServer:
    """``calls``: method, path, authorization and body of each request. ``answers``: the next answers, in
    their order; after them, what the real connector answers to a success. While ``is_holding``, requests
    are never answered; ``somebody_waits`` says that there is one."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str | None, Any]] = []
        self.answers: list[web.Response] = []
        self.is_holding = False
        self.somebody_waits = asyncio.Event()
        self.url = ""

    @property
    def texts(self) -> list[str]:
        """The texts of the activities that were taken."""
        return [body.get("text", "") for method, _, _, body in self.calls if method == "POST" and body]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        path = request.raw_path  # as it was sent, with what is quoted
        if self.is_holding:
            self.somebody_waits.set()
            await asyncio.Event().wait()
        self.calls.append((request.method, path, request.headers.get("Authorization"), body))
        if self.answers:
            return self.answers.pop(0)
        status = {"POST": 201, "PUT": 200, "DELETE": 200}[request.method]
        return web.json_response({"id": f"id-{len(self.calls)}"}, status=status)


@asynccontextmanager
async def connector_server() -> AsyncIterator[ConnectorServer]:
    """The server, on a free port of 127.0.0.1, for as long as the context lasts."""
    server = ConnectorServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"{site.name}/teams/"
    try:
        yield server
    finally:
        await runner.cleanup()
