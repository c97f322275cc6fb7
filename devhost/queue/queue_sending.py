"""Puts a text on a queue, and creates the queue when there is none."""

from contextlib import suppress

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue.aio import QueueClient


async def send_creating(queue: QueueClient, text: str) -> None:
    """Send; create the queue first when it is missing. Raises AzureError."""
    try:
        await queue.send_message(text)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):  # it may have come into being meanwhile
            await queue.create_queue()
        await queue.send_message(text)
