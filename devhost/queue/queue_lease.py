"""Keeps one received message invisible while its function runs, and ends it one way or another."""

import asyncio
import logging
from datetime import timedelta

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

logger = logging.getLogger("devhost")
_SHORTEST_WAIT = timedelta(minutes=1)
# What the service says when the message is no longer ours: gone, taken by another, or its queue deleted.
_LOST = ("MessageNotFound", "PopReceiptMismatch", "QueueNotFound", "QueueBeingDeleted", "QueueDisabled")


class QueueLease:
    """The right to a message: its newest pop receipt, renewed at half of the lease.

    Every update of a message makes a new receipt and voids the one before.
    """

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
            except AzureError as error:
                if not self._is_worth_trying_again(error):
                    return
                wait = self._sooner(wait)
            else:
                wait = self._lease / 2

    def _sooner(self, wait: timedelta) -> timedelta:
        """The wait after a renewal that failed: half of the last, a minute at least, but within the lease."""
        return min(max(wait / 2, _SHORTEST_WAIT), self._lease / 4)

    def _is_worth_trying_again(self, error: AzureError) -> bool:
        status = error.status_code if isinstance(error, HttpResponseError) else None
        if status is not None and status < 500:
            logger.warning("The lease of queue message %s is lost (%s)", self.message.id, status)
            return False
        reason = status or type(error).__name__
        logger.warning("The lease of queue message %s was not renewed (%s)", self.message.id, reason)
        return True

    async def _set_visibility(self, span: timedelta) -> None:
        updated = await self._queue.update_message(
            self.message.id, self._pop_receipt, visibility_timeout=int(span.total_seconds())
        )
        self._pop_receipt = updated.pop_receipt or self._pop_receipt

    async def _end_renewal(self) -> None:
        # Not in the middle of a renewal: its new pop receipt would be lost, and the message with it.
        async with self._updating:
            self._renewal.cancel()
        await asyncio.gather(self._renewal, return_exceptions=True)

    async def delete(self) -> None:
        """The message is done. One that is no longer ours is left. Raises AzureError."""
        await self._end_renewal()
        try:
            await self._queue.delete_message(self.message.id, self._pop_receipt)
        except HttpResponseError as error:
            self._leave_if_lost(error, "deleted")

    async def give_back(self, after: timedelta) -> None:
        """Make the message visible again after a while. One no longer ours is left. Raises AzureError."""
        await self._end_renewal()
        try:
            await self._set_visibility(after)
        except HttpResponseError as error:
            self._leave_if_lost(error, "given back")

    def _leave_if_lost(self, error: HttpResponseError, what: str) -> None:
        code = str(getattr(error, "error_code", "") or "")
        code = code.rpartition(".")[2] if code.startswith("StorageErrorCode.") else code
        if code.replace("_", "").lower() not in [lost.lower() for lost in _LOST]:
            raise error
        logger.warning("Queue message %s was gone before it could be %s (%s)", self.message.id, what, code)

    async def drop(self) -> None:
        """Stop renewing; the message comes back when its lease runs out."""
        await self._end_renewal()
