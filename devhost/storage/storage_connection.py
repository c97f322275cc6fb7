"""From the `connection` of a queue binding to a queue service client."""

from azure.storage.queue import QueueServiceClient as BlockingQueueServiceClient
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from devhost.app_settings import app_setting

# Every Azurite of the last years speaks this version; the library's own default is newer than they are.
STORAGE_API_VERSION = "2024-08-04"


def connection_string(connection: str) -> str:
    """Find the connection string that a binding names. Raises ValueError with the host's own sentence."""
    name = connection or "AzureWebJobsStorage"
    short = name.removeprefix("AzureWebJobs")
    for key in (
        f"ConnectionStrings:AzureWebJobs{short}",
        f"AzureWebJobs{short}",
        f"ConnectionStrings:{name}",
        name,
    ):
        value = app_setting(key)
        if value:
            return value
    if app_setting(f"{name}__accountName") or app_setting(f"{name}__queueServiceUri"):
        raise ValueError(
            f"The connection '{name}' is identity-based; devhost reaches storage by a connection string only."
        )
    raise ValueError(
        f"Storage account connection string 'AzureWebJobs{short}' does not exist. "
        "Make sure that it is a defined App Setting."
    )


def check_connection(connection: str) -> None:
    """Look whether a binding's connection can be used. Raises ValueError, which never shows its value."""
    text = connection_string(connection)
    try:
        BlockingQueueServiceClient.from_connection_string(text).close()
    except Exception as error:  # noqa: BLE001 (the library raises what it happens to stumble on)
        name, kind = connection or "AzureWebJobsStorage", type(error).__name__
        raise ValueError(
            f"The value of the connection '{name}' is no storage connection string ({kind})."
        ) from None


class StorageConnections:
    """One queue service client a connection string, shared by all listeners and outputs."""

    def __init__(self) -> None:
        self._services: dict[str, QueueServiceClient] = {}

    def queue(self, connection: str, queue_name: str) -> QueueClient:
        """Client of one queue. Raises ValueError when the connection is not set or not readable."""
        text = connection_string(connection)
        service = self._services.get(text)
        if service is None:
            service = QueueServiceClient.from_connection_string(
                text,
                api_version=STORAGE_API_VERSION,
                retry_total=2,
                initial_backoff=1,
                increment_base=1,
                random_jitter_range=0,
                connection_timeout=5,
                read_timeout=30,
            )
            self._services[text] = service
        return service.get_queue_client(queue_name)

    async def close(self) -> None:
        """Close every connection pool."""
        for service in self._services.values():
            await service.close()
