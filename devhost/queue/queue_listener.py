"""A queue trigger: polls one queue and runs its function for each message."""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import Invoker
from devhost.queue.poison_queue import PoisonQueue
from devhost.queue.polling_backoff import PollingBackoff
from devhost.queue.queue_lease import QueueLease
from devhost.queue.queue_message import UndecodableMessage, decode_text, message_datum, queue_metadata
from devhost.queue.queue_settings import QueueSettings
from devhost.storage.storage_connection import StorageConnections

logger = logging.getLogger("devhost")


class QueueListener:
    """Polls until it is stopped; what has begun then may end."""

    def __init__(
        self,
        function: FunctionDefinition,
        invoker: Invoker,
        storage: StorageConnections,
        settings: QueueSettings,
    ) -> None:
        self._function, self._invoker, self._settings = function, invoker, settings
        self._queue_name = str(function.trigger.properties["queueName"]).lower()
        connection = str(function.trigger.properties.get("connection") or "")
        self._queue: QueueClient = storage.queue(connection, self._queue_name)
        self._poison = PoisonQueue(self._queue_name, connection, storage)
        self._is_binary = function.trigger.properties.get("dataType") == "BINARY"
        self._backoff = PollingBackoff(settings.max_polling_interval)
        self._running: set[asyncio.Task[None]] = set()
        self._polling: asyncio.Task[None] | None = None
        self._is_stopping = asyncio.Event()
        self._trouble = ""

    def start(self) -> None:
        """Begin to poll."""
        self._polling = asyncio.get_running_loop().create_task(self._poll())

    async def stop(self, grace_seconds: float) -> None:
        """Poll no more; wait for running messages, then leave them to their leases."""
        self._is_stopping.set()
        if self._polling is not None:
            # A request under way is waited for: its messages would otherwise be hidden for a whole lease.
            await asyncio.wait([self._polling], timeout=grace_seconds)
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _poll(self) -> None:
        while not self._is_stopping.is_set():
            messages: list[QueueMessage] = []
            try:
                messages = await self._receive()
                self._note_trouble("")
            except ResourceNotFoundError:
                self._note_trouble("")  # the trigger does not create its queue; it waits for it
            except AzureError as error:
                self._note_trouble(_reason(error))
            except Exception:  # the host's own loop: it must outlive whatever the storage client raises
                logger.exception("Polling the queue '%s' failed", self._queue_name)
            if not messages:
                await self._pause(self._backoff.next_wait())
                continue
            self._backoff.reset()
            for message in messages:
                task = asyncio.get_running_loop().create_task(self._process(message))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            while len(self._running) > self._settings.new_batch_threshold and not self._is_stopping.is_set():
                await asyncio.wait(self._running, timeout=1, return_when=asyncio.FIRST_COMPLETED)

    async def _pause(self, span: timedelta) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(span.total_seconds()):
                await self._is_stopping.wait()

    async def _receive(self) -> list[QueueMessage]:
        pages = self._queue.receive_messages(
            messages_per_page=self._settings.batch_size,
            visibility_timeout=int(self._settings.lease.total_seconds()),
        ).by_page()
        try:
            page = await anext(pages)
        except StopAsyncIteration:
            return []
        return [message async for message in page]

    def _note_trouble(self, trouble: str) -> None:
        if trouble and not self._trouble:
            logger.warning("The queue '%s' cannot be reached (%s); trying on.", self._queue_name, trouble)
        if self._trouble and not trouble:
            logger.info("The queue '%s' can be reached again.", self._queue_name)
        self._trouble = trouble

    async def _process(self, message: QueueMessage) -> None:
        lease = QueueLease(self._queue, message, self._settings.lease)
        try:
            if self._is_stopping.is_set():
                await lease.give_back(timedelta(0))
            else:
                await self._run(lease)
        except AzureError as error:
            logger.warning(
                "Queue message %s of '%s' could not be settled (%s); it will come again.",
                message.id,
                self._queue_name,
                _reason(error),
            )
        except Exception:  # the host's own loop: one message's trouble must not stop the others
            logger.exception("Queue message %s of '%s' failed in the host", message.id, self._queue_name)
        finally:
            await lease.drop()

    async def _run(self, lease: QueueLease) -> None:
        message, settings = lease.message, self._settings
        count = message.dequeue_count or 1
        if count > settings.max_dequeue_count:
            await self._to_poison_as_worn_out(lease)
            return
        try:
            content = decode_text(message.content, settings.encoding)
        except UndecodableMessage as error:
            logger.error("Queue message %s of '%s': %s", message.id, self._queue_name, error)
            await self._poison.take(lease)
            return
        metadata = queue_metadata(
            message_id=message.id,
            pop_receipt=message.pop_receipt or "",
            dequeue_count=count,
            inserted=message.inserted_on,
            expires=message.expires_on,
            next_visible=message.next_visible_on,
            content=content,
        )
        result = await self._invoker.invoke(
            self._function, message_datum(content, is_binary=self._is_binary), metadata
        )
        if result.succeeded:
            await lease.delete()
        elif count >= settings.max_dequeue_count:
            await self._to_poison_as_worn_out(lease)
        else:
            await lease.give_back(settings.visibility_timeout)

    async def _to_poison_as_worn_out(self, lease: QueueLease) -> None:
        logger.warning("Message has reached MaxDequeueCount of %d.", self._settings.max_dequeue_count)
        await self._poison.take(lease)


def _reason(error: AzureError) -> str:
    """What went wrong, without the message: it may hold what the service was sent."""
    if isinstance(error, HttpResponseError) and error.status_code:
        return f"{type(error).__name__} {error.status_code}"
    return type(error).__name__
