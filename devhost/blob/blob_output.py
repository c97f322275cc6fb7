"""Blob output bindings: the blob is written whole, over one that is there."""

from contextlib import suppress

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum

from devhost.indexing.function_binding import Binding
from devhost.storage.resource_names import split_blob_path
from devhost.storage.storage_connection import StorageConnections


class BlobOutput:
    """Writes what a function put out; creates the container when it is missing."""

    def __init__(self, storage: StorageConnections) -> None:
        self._storage = storage

    async def write(self, binding: Binding, datum: Datum) -> None:
        """Write one blob. Raises AzureError or ValueError, which fail the invocation."""
        container, name = split_blob_path(str(binding.properties["path"]))
        connection = str(binding.properties.get("connection") or "")
        blob = self._storage.blob(connection, container, name)
        content = datum.value if isinstance(datum.value, bytes) else str(datum.value).encode()
        try:
            await blob.upload_blob(content, overwrite=True)
        except ResourceNotFoundError:
            with suppress(ResourceExistsError):  # it may have come into being meanwhile
                await self._storage.container(connection, container).create_container()
            await blob.upload_blob(content, overwrite=True)
