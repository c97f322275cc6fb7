"""From the `connection` of a binding to clients of its queues and blobs."""

import importlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from azure.storage.queue.aio import QueueClient, QueueServiceClient

from devhost.storage.connection_setting import (
    DEFAULT_CONNECTION,
    ConnectionSetting,
    ConnectionString,
    IdentityConnection,
    find_connection,
    require_service,
)
from devhost.storage.storage_credential import make_credential

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.blob.aio import BlobClient, BlobServiceClient, ContainerClient

# Every Azurite of the last years speaks this version; the libraries' own defaults are newer than they are.
STORAGE_API_VERSION = "2024-08-04"
_READ_SECONDS = 30.0
_BLOCKING_MODULES = {"queue": "azure.storage.queue", "blob": "azure.storage.blob"}


def check_connection(connection: str, service: str = "queue") -> None:
    """Look whether a connection leads to a service. Raises ValueError, which never shows its value."""
    name, setting = connection or DEFAULT_CONNECTION, find_connection(connection)
    if isinstance(setting, IdentityConnection):
        require_service(setting, service, name)
        make_credential(setting, name)
        return
    module: Any = importlib.import_module(_BLOCKING_MODULES[service])
    client: Any = getattr(module, f"{service.capitalize()}ServiceClient")
    try:
        client.from_connection_string(setting.text).close()
    except Exception as error:  # noqa: BLE001 (the library raises what it happens to stumble on)
        raise ValueError(
            f"The value of the connection '{name}' is no storage connection string ({type(error).__name__})."
        ) from None


class StorageConnections:
    """One service client a connection and service, shared by all listeners, inputs and outputs.

    `read_seconds` is how long one answer of a service is waited for.
    """

    def __init__(self, read_seconds: float = _READ_SECONDS) -> None:
        self._options: dict[str, Any] = {
            "api_version": STORAGE_API_VERSION,
            "retry_total": 2,
            "initial_backoff": 1,
            "increment_base": 1,
            "random_jitter_range": 0,
            "connection_timeout": 5,
            "read_timeout": read_seconds,
        }
        self._queues: dict[ConnectionSetting, QueueServiceClient] = {}
        self._blobs: dict[ConnectionSetting, BlobServiceClient] = {}
        self._credentials: dict[IdentityConnection, AsyncTokenCredential] = {}

    def queue(self, connection: str, queue_name: str) -> QueueClient:
        """Client of one queue. Raises ValueError when the connection is not set or not readable."""
        setting = find_connection(connection)
        if setting not in self._queues:
            self._queues[setting] = self._service(QueueServiceClient, setting, "queue", connection)
        return self._queues[setting].get_queue_client(queue_name)

    def blob(self, connection: str, container: str, blob_name: str) -> "BlobClient":
        """Client of one blob. Raises ValueError when the connection is not set or not readable."""
        return self._blob_service(connection).get_blob_client(container, blob_name)

    def container(self, connection: str, container: str) -> "ContainerClient":
        """Client of one container. Raises ValueError when the connection is not set or not readable."""
        return self._blob_service(connection).get_container_client(container)

    def _blob_service(self, connection: str) -> "BlobServiceClient":
        # Imported with the first blob: it takes long, and most apps have none.
        from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415

        setting = find_connection(connection)
        if setting not in self._blobs:
            self._blobs[setting] = self._service(BlobServiceClient, setting, "blob", connection)
        return self._blobs[setting]

    def _service(self, client: Any, setting: ConnectionSetting, service: str, connection: str) -> Any:
        if isinstance(setting, ConnectionString):
            return client.from_connection_string(setting.text, **self._options)
        name = connection or DEFAULT_CONNECTION
        url = require_service(setting, service, name)
        if setting not in self._credentials:
            self._credentials[setting] = make_credential(setting, name)
        return client(url, credential=self._credentials[setting], **self._options)

    async def close(self) -> None:
        """Close every connection pool."""
        async with AsyncExitStack() as stack:
            opened: tuple[Any, ...] = (
                *self._credentials.values(),
                *self._queues.values(),
                *self._blobs.values(),
            )
            for one in opened:
                stack.push_async_callback(one.close)
