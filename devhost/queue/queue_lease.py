"""Keeps one received message invisible while its function runs, and ends it one way or another."""

import asyncio
import logging
from datetime import timedelta

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

logger = logging.getLogger("devhost")
_SHORTEST_WAIT = timedelta(minutes=1)


class QueueLease:
    """The right to a message: its newest pop receipt, renewed at half of the lease."""

    def __init__(self, queue: QueueClient, message: QueueMessage, lease: timedelta) -> None:
        self._queue, self.message, self._lease = queue, message, lease
        self._pop_receipt = message.pop_receipt or ""
        self._updating = asyncio.Lock()
        self._renewal = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        wait = self._lease / 2
        while True:
            await asyncio.sleep(wait.total_seconds())
            try:
                async with self._updating:
                    await self._set_visibility(self._lease)
                wait = self._lease / 2
            except HttpResponseError as error:
                if error.status_code is not None and error.status_code < 500:
                    logger.warning(
                        "The lease of queue message %s is lost (%s)", self.message.id, error.status_code
                    )
                    return
                wait = min(max(wait / 2, _SHORTEST_WAIT), self._lease / 4)
            except AzureError as error:
                logger.warning(
                    "The lease of queue message %s was not renewed: %s", self.message.id, type(error).__name__
                )
                wait = min(max(wait / 2, _SHORTEST_WAIT), self._lease / 4)

    async def _set_visibility(self, span: timedelta) -> None:
        updated = await self._queue.update_message(
            self.message.id,
            self._pop_receipt,
            visibility_timeout=int(span.total_seconds()),
            content=self.message.content,
        )
        self._pop_receipt = updated.pop_receipt or self._pop_receipt

    async def _end_renewal(self) -> None:
        # Not in the middle of a renewal: its new pop receipt would be lost, and the message with it.
        async with self._updating:
            self._renewal.cancel()
        await asyncio.gather(self._renewal, return_exceptions=True)

    async def delete(self) -> None:
        """The message is done. One that is gone already is left. Raises AzureError."""
        await self._end_renewal()
        try:
            await self._queue.delete_message(self.message.id, self._pop_receipt)
        except ResourceNotFoundError:
            logger.warning("Queue message %s was gone before it could be deleted", self.message.id)

    async def give_back(self, after: timedelta) -> None:
        """Make the message visible again after a while. Raises AzureError."""
        await self._end_renewal()
        await self._set_visibility(after)

    async def drop(self) -> None:
        """Stop renewing; the message comes back when its lease runs out."""
        await self._end_renewal()
