"""Queue output bindings: one storage message an element."""

import json

from azure.functions.meta import Datum

from devhost.indexing.function_binding import Binding
from devhost.queue.queue_message import encode_text
from devhost.queue.queue_sending import send_creating
from devhost.storage.storage_connection import StorageConnections


class QueueOutput:
    """Sends what a function put out; creates the queue when it is missing."""

    def __init__(self, storage: StorageConnections, encoding: str) -> None:
        self._storage, self._encoding = storage, encoding

    async def write(self, binding: Binding, datum: Datum) -> None:
        """Send one value. Raises AzureError, which fails the invocation."""
        queue = self._storage.queue(
            str(binding.properties.get("connection") or ""), str(binding.properties["queueName"])
        )
        for content in message_contents(datum):
            text = encode_text(content, self._encoding)
            await send_creating(queue, text)


def message_contents(datum: Datum) -> list[bytes]:
    """Contents of the messages in one encoded value: a JSON list gives one an element."""
    if datum.type == "bytes":
        return [bytes(datum.value)]
    if datum.type == "json":
        value = json.loads(datum.value)
        elements = value if isinstance(value, list) else [value]
        return [_content(element) for element in elements]
    return [str(datum.value).encode()]


def _content(element: object) -> bytes:
    text = element if isinstance(element, str) else json.dumps(element, ensure_ascii=False)
    return text.encode()
