"""The ProactiveQueue port on Azure Queue Storage."""

from datetime import timedelta
from math import ceil

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient

# Of the service, not of the SDK: older than the newest, so that sovereign clouds and Azurite know it.
QUEUE_API_VERSION = "2025-05-05"


class StorageQueue:
    """One queue. Bodies are put on it as they are, as host.json says (messageEncoding none)."""

    def __init__(self, storage_connection: str, queue_name: str) -> None:
        self._client = QueueClient.from_connection_string(
            storage_connection, queue_name, api_version=QUEUE_API_VERSION
        )

    async def put(self, body: bytes, *, delay: timedelta) -> None:
        seconds = ceil(delay.total_seconds())
        try:
            await self._client.send_message(body.decode(), visibility_timeout=seconds)
        except ResourceNotFoundError:  # taken away while we ran
            await self._client.create_queue()
            await self._client.send_message(body.decode(), visibility_timeout=seconds)

    async def close(self) -> None:
        await self._client.close()
