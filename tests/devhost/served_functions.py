"""HTTP functions of a test's own behind a listener in the test's process, and a caller of them."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import azure.functions as func
from yarl import URL

from devhost.command.listening import listening_socket
from devhost.http.authorization import Authorization
from devhost.http.cors import CorsPolicy
from devhost.http.host_keys import HostKeys
from devhost.http.http_listener import Api, HttpListener
from devhost.http.http_settings import HttpSettings
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.invocation.invoker import Invoker
from tests.devhost.host_process import free_port


def http_function(
    user_function: Callable[..., Any],
    route: str = "",
    *,
    methods: Sequence[str] = (),
    level: str = "ANONYMOUS",
    name: str = "",
) -> FunctionDefinition:
    """An HTTP function as the indexer would make it."""
    name = name or user_function.__name__
    members: dict[str, Any] = {"route": route or name, "authLevel": level}
    trigger = Binding("req", "httpTrigger", "IN", {**members, **({"methods": methods} if methods else {})})
    bindings = (trigger, Binding("$return", "http", "OUT", {}))
    signature = read_signature(name, user_function, bindings)
    is_async = inspect.iscoroutinefunction(user_function)
    return FunctionDefinition(name, user_function, trigger, bindings, signature, is_async=is_async)


def named(name: str) -> Callable[[func.HttpRequest], str]:
    """A function of this name that answers with it."""

    def function(req: func.HttpRequest) -> str:
        return name

    function.__name__ = name
    return function


@dataclass
class Served:
    """A listener that serves."""

    port: int
    session: aiohttp.ClientSession
    listener: HttpListener

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """Status and body of the answer; the path goes out as it is."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, URL(url, encoded=True), **options) as answer:
            return answer.status, await answer.text()

    async def headers(self, method: str, path: str, **options: Any) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the answer."""
        async with self.session.request(method, f"http://127.0.0.1:{self.port}{path}", **options) as answer:
            return answer.status, answer.headers

    async def raw(self, request: bytes) -> bytes:
        """The head of what is answered to these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    *functions: FunctionDefinition,
    settings: HttpSettings | None = None,
    keys: HostKeys | None = None,
    cors: CorsPolicy | None = None,
    apis: Sequence[Api] = (),
) -> AsyncIterator[Served]:
    """Serve these functions on a free port of the loopback interface."""
    listener = HttpListener(
        functions,
        Invoker("/", None),
        settings=settings or HttpSettings(),
        authorization=Authorization(keys),
        cors=cors,
        apis=apis,
    )
    port = free_port()
    await listener.start(listening_socket("127.0.0.1", port, None))
    try:
        timeout = aiohttp.ClientTimeout(total=15)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Served(port, session, listener)
    finally:
        await listener.stop()
