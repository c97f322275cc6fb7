"""Blob input bindings: the whole blob as text or bytes, or nothing when there is none."""

from azure.core.exceptions import ResourceNotFoundError
from azure.functions.meta import Datum

from devhost.indexing.function_binding import Binding
from devhost.storage.resource_names import split_blob_path
from devhost.storage.storage_connection import StorageConnections

_AS_BYTES = ("BINARY", "STREAM")


class BlobInput:
    """Reads what the path of a binding names."""

    def __init__(self, storage: StorageConnections) -> None:
        self._storage = storage

    async def read(self, binding: Binding) -> Datum:
        """Text by default, bytes with `dataType` binary; a missing blob has type None. Raises AzureError.

        As on the real host, text is UTF-8 whose mark is dropped and whose broken parts become U+FFFD.
        """
        container, name = split_blob_path(str(binding.properties["path"]))
        blob = self._storage.blob(str(binding.properties.get("connection") or ""), container, name)
        try:
            content = await (await blob.download_blob()).readall()
        except ResourceNotFoundError:
            return Datum(None, None)
        if str(binding.properties.get("dataType", "")).upper() in _AS_BYTES:
            return Datum(content, "bytes")
        return Datum(content.decode("utf-8-sig", "replace"), "string")
