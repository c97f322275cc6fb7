"""A queue trigger in the test's own process, and storage whose answers a test chooses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol

import azure.functions as func
from aiohttp import ClientSession, ClientTimeout, web
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient
from azure.storage.queue.aio import QueueClient as AsyncQueueClient
from yarl import URL

from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.invocation.invoker import Invoker
from devhost.queue.queue_listener import QueueListener
from devhost.queue.queue_settings import QueueSettings
from devhost.storage.storage_connection import STORAGE_API_VERSION, StorageConnections

SETTINGS = QueueSettings(
    batch_size=16,
    new_batch_threshold=8,
    max_dequeue_count=3,
    visibility_timeout=timedelta(0),
    max_polling_interval=timedelta(milliseconds=200),
    encoding="none",
)


class Azurite(Protocol):
    @property
    def connection_string(self) -> str: ...


def queue_of(azurite: Azurite, name: str) -> QueueClient:
    return QueueClient.from_connection_string(
        azurite.connection_string, name, api_version=STORAGE_API_VERSION
    )


def texts_in(queue: QueueClient) -> list[str]:
    try:
        return [message.content for message in queue.peek_messages(32)]
    except ResourceNotFoundError:
        return []


class QueueTrigger:
    """A queue listener in this process, over a queue of its own."""

    def __init__(self, storage: StorageConnections, name: str) -> None:
        self.storage, self.name = storage, name
        self.seen: list[tuple[str, int]] = []
        self.messages: list[func.QueueMessage] = []
        self.running = self.most_running = 0
        self.hold: asyncio.Event | None = None
        self.listeners: list[QueueListener] = []

    @property
    def queue(self) -> AsyncQueueClient:
        return self.storage.queue("Store", self.name)

    @property
    def poison(self) -> AsyncQueueClient:
        return self.storage.queue("Store", f"{self.name}-poison")

    def listen(self, settings: QueueSettings = SETTINGS) -> QueueListener:
        async def work(msg: func.QueueMessage) -> None:
            text = msg.get_body().decode(errors="backslashreplace")
            self.messages.append(msg)
            self.seen.append((text, int(msg.dequeue_count or 0)))
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            try:
                if self.hold:
                    await self.hold.wait()
                if text.startswith("bad"):
                    raise ValueError(text)
            finally:
                self.running -= 1

        trigger = Binding("msg", "queueTrigger", "IN", {"queueName": self.name, "connection": "Store"})
        signature = read_signature("work", work, [trigger])
        function = FunctionDefinition("work", work, trigger, (trigger,), signature, is_async=True)
        listener = QueueListener(function, Invoker("/", None), self.storage, settings)
        self.listeners.append(listener)
        listener.start()
        return listener

    async def left(self) -> int:
        """How many messages the queue holds, visible or not."""
        return int((await self.queue.get_queue_properties()).approximate_message_count or 0)

    async def poisoned(self) -> list[str]:
        try:
            return [message.content for message in await self.poison.peek_messages(32)]
        except ResourceNotFoundError:
            return []


async def eventually(what: Callable[[], Any], *, seconds: float = 15) -> Any:
    """Poll until `what` gives something true (awaiting it when it is to be awaited), and return that."""
    async with asyncio.timeout(seconds):
        while True:
            found = what()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)


class FaultProxy:
    """Between devhost and Azurite. `choose` says per request what becomes of it:

    ok; a status to answer at once; `lost` (done, but answered by 500); `hang` (no answer while it stays so).
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = 0
        self.choose: Callable[[str, str], Awaitable[str]]
        self.always("ok")
        self.asked: list[str] = []

    def always(self, fault: str) -> None:
        """The same for every request."""

        async def choose(method: str, path: str) -> str:
            return fault

        self.choose = choose

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        body = await request.read()
        fault = await self.choose(request.method, request.path)
        if fault == "hang":
            while await self.choose(request.method, request.path) == "hang":  # noqa: ASYNC110 (any kind of chooser)
                await asyncio.sleep(0.05)
            fault = "503"  # whoever asked has gone, and must not be served behind his back
        if fault.isdigit():
            return web.Response(status=int(fault))
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = URL(f"http://127.0.0.1:{self._target}{request.raw_path}", encoded=True)
        asked = self._session.request(
            request.method, url, data=body or None, headers=headers, skip_auto_headers=["Content-Type"]
        )
        async with asked as answer:
            content = await answer.read()
            if fault == "lost":
                return web.Response(status=500)
            kept = {n: v for n, v in answer.headers.items() if n.lower().startswith(("x-ms", "content-type"))}
            return web.Response(status=answer.status, body=content, headers=kept)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FaultProxy"]:
        """Listen on a free port."""
        async with ClientSession(timeout=ClientTimeout(total=20), auto_decompress=False) as self._session:
            runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            try:
                yield self
            finally:
                self.always("ok")
                await runner.cleanup()

    def before(self, connection_string: str) -> str:
        """A connection string that leads through here."""
        return connection_string.replace(f":{self._target}/", f":{self.port}/")
