"""The queues of an app for the page: their lengths, what lies in the poison queues, and putting it back."""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from devhost.indexing.function_binding import FunctionDefinition
from devhost.queue.poison_queue import poison_name
from devhost.queue.queue_message import UndecodableMessage, decode_text
from devhost.queue.queue_sending import send_creating
from devhost.storage.resource_names import is_queue_name
from devhost.storage.storage_connection import StorageConnections

_FRESH_SECONDS = 1.5
_WAIT_SECONDS = 2.0
_MOST_PEEKED = 32
_BATCH = 32
_HIDDEN_SECONDS = 120
_MOST_BATCHES = 40
_LONGEST_TEXT = 20_000

Result = TypeVar("Result")


class QueueUnreachable(Exception):
    """The storage account did not answer; the message says how."""


@dataclass(slots=True)
class AppQueue:
    """One queue of the app; `readers` and `writers` are names of functions."""

    name: str
    connection: str
    readers: list[str] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)

    @property
    def poison_name(self) -> str | None:
        """Name of its poison queue, where it has one."""
        return poison_name(self.name) if self.readers else None


def app_queues(functions: Iterable[FunctionDefinition]) -> list[AppQueue]:
    """The queues that functions are triggered by or write to, each once, in the order of their names."""
    found: dict[tuple[str, str], AppQueue] = {}
    for function in functions:
        for binding in function.bindings:
            if binding.type in ("queueTrigger", "queue"):
                name = str(binding.properties.get("queueName", "")).lower()
                connection = str(binding.properties.get("connection") or "")
                queue = found.setdefault((connection, name), AppQueue(name, connection))
                names = queue.readers if binding.is_trigger else queue.writers
                if function.name not in names:
                    names.append(function.name)
    return sorted(found.values(), key=lambda queue: queue.name)


class QueuePage:
    """Asks the storage account, at most once in a while however many pages look on."""

    def __init__(
        self, functions: Iterable[FunctionDefinition], storage: StorageConnections, encoding: str
    ) -> None:
        self._queues, self._storage, self._encoding = app_queues(functions), storage, encoding
        self._lock = asyncio.Lock()
        self._seen: list[dict[str, Any]] = []
        self._seen_at = float("-inf")

    async def queues(self) -> list[dict[str, Any]]:
        """Each queue with its approximate length and its poison queue's; None where there is no queue yet."""
        async with self._lock:
            if time.monotonic() - self._seen_at > _FRESH_SECONDS:
                self._seen = await asyncio.gather(*(self._view(queue) for queue in self._queues))
                self._seen_at = time.monotonic()
        return self._seen

    async def poison(self, name: str) -> list[dict[str, Any]] | None:
        """The first messages of a queue's poison queue, which stay where they are; None for an unknown queue.

        Raises QueueUnreachable.
        """
        queue = self._with_poison(name)
        if queue is None:
            return None
        client = self._client(queue, queue.poison_name or "")
        try:
            messages = await _within(client.peek_messages(max_messages=_MOST_PEEKED))
        except ResourceNotFoundError:
            return []
        return [_message(message, self._encoding) for message in messages]

    async def resubmit(self, name: str, message_id: str | None) -> int | None:
        """Move one poison message, or all there are now, back to the queue; returns how many.

        Each is put on the queue before it is taken off the poison queue: a death in between leaves it on
        both. None for an unknown queue. Raises QueueUnreachable.
        """
        queue = self._with_poison(name)
        if queue is None:
            return None
        poison, target = self._client(queue, queue.poison_name or ""), self._client(queue, queue.name)
        try:
            taken = await _take(poison, message_id)
        except ResourceNotFoundError:
            return 0
        moved = 0
        try:
            for message in taken:
                if message_id in (None, message.id):
                    await _within(send_creating(target, message.content))
                    await _within(poison.delete_message(message))
                    moved += 1
        finally:
            passed = [message for message in taken if message_id not in (None, message.id)]
            await asyncio.gather(*(_show_again(poison, message) for message in passed))
            self._seen_at = float("-inf")
        return moved

    def _with_poison(self, name: str) -> AppQueue | None:
        return next((queue for queue in self._queues if queue.name == name and queue.poison_name), None)

    def _client(self, queue: AppQueue, name: str) -> QueueClient:
        return self._storage.queue(queue.connection, name)

    async def _view(self, queue: AppQueue) -> dict[str, Any]:
        view: dict[str, Any] = {
            "name": queue.name,
            "connection": queue.connection,
            "readers": queue.readers,
            "writers": queue.writers,
            "poisonName": queue.poison_name,
            "length": None,
            "poisonLength": None,
            "error": "",
        }
        try:
            view["length"] = await self._length(queue, queue.name)
            if queue.poison_name:
                view["poisonLength"] = await self._length(queue, queue.poison_name)
        except QueueUnreachable as error:
            view["error"] = str(error)
        return view

    async def _length(self, queue: AppQueue, name: str) -> int | None:
        if not is_queue_name(name):
            return (
                None  # the name of an output may hang on what its trigger gives: there is not one such queue
            )
        try:
            properties = await _within(self._client(queue, name).get_queue_properties())
        except ResourceNotFoundError:
            return None
        return properties.approximate_message_count


async def _within(asking: Awaitable[Result]) -> Result:
    """An answer of the storage account. Raises QueueUnreachable, or ResourceNotFoundError as it is."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            return await asking
    except ResourceNotFoundError:
        raise
    except (AzureError, TimeoutError) as error:
        raise QueueUnreachable(f"The storage account does not answer ({type(error).__name__}).") from None


async def _take(queue: QueueClient, message_id: str | None) -> list[QueueMessage]:
    """All messages that there are, or those up to one of them, hidden for a while.

    They are all taken before the first is moved, for what fails again is back at once.
    """
    taken: list[QueueMessage] = []
    for _ in range(_MOST_BATCHES):
        batch = await _within(_receive(queue))
        taken += batch
        if not batch or any(message.id == message_id for message in batch):
            break
    return taken


async def _receive(queue: QueueClient) -> Sequence[QueueMessage]:
    pages = queue.receive_messages(messages_per_page=_BATCH, visibility_timeout=_HIDDEN_SECONDS).by_page()
    try:
        return [message async for message in await anext(pages)]
    except StopAsyncIteration:
        return []


async def _show_again(queue: QueueClient, message: QueueMessage) -> None:
    try:
        await _within(queue.update_message(message, visibility_timeout=0))
    except (QueueUnreachable, ResourceNotFoundError):
        return  # it shows again by itself


def _message(message: QueueMessage, encoding: str) -> dict[str, Any]:
    content = str(message.content)
    with suppress(UndecodableMessage, UnicodeDecodeError):  # else it is shown as it is
        content = decode_text(content, encoding).decode()
    return {
        "id": message.id,
        "text": content[:_LONGEST_TEXT],
        "length": len(content),
        "inserted": message.inserted_on.isoformat() if message.inserted_on else None,
        "dequeueCount": message.dequeue_count,
    }
