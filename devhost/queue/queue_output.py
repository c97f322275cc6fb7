"""Queue output bindings: one storage message an element."""

import json

from azure.functions.meta import Datum

from devhost.indexing.binding_expression import scalar_text
from devhost.indexing.function_binding import Binding
from devhost.queue.queue_message import encode_text
from devhost.queue.queue_sending import send_creating
from devhost.storage.resource_names import check_queue_name
from devhost.storage.storage_connection import StorageConnections


class QueueOutput:
    """Sends what a function put out; creates the queue when it is missing."""

    def __init__(self, storage: StorageConnections, encoding: str) -> None:
        self._storage, self._encoding = storage, encoding

    async def write(self, binding: Binding, datum: Datum) -> None:
        """Send one value. Raises AzureError or ValueError, which fail the invocation."""
        name = str(binding.properties["queueName"]).lower()
        check_queue_name(name)
        queue = self._storage.queue(str(binding.properties.get("connection") or ""), name)
        for content in message_contents(datum):
            await send_creating(queue, encode_text(content, self._encoding))


def message_contents(datum: Datum) -> list[bytes]:
    """Contents of the messages in one encoded value: a JSON list gives one an element.

    As on the real host, text in brackets or braces is taken for JSON, too. Raises ValueError when it is none.
    """
    if datum.type == "bytes":
        return [bytes(datum.value)]
    text = str(datum.value)
    if datum.type == "json":
        value = json.loads(text)
    elif text.strip()[:1] + text.strip()[-1:] in ("[]", "{}"):
        value = json.loads(text)
        value = value if isinstance(value, list) else text
    else:
        value = text
    return [scalar_text(element).encode() for element in (value if isinstance(value, list) else [value])]
