"""`python -m local send`: puts one proactive message on the storage queue, as another system would."""

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from local.playground import person_at_the_playground

DEFAULT_QUEUE = "proactive-messages"


def proactive_message(text: str, *, delivery_id: str | None = None) -> dict[str, object]:
    """A message to the person who sits at the Playground."""
    person = person_at_the_playground()
    return {
        "version": 1,
        "deliveryId": delivery_id or f"sent-{uuid.uuid4()}",
        "to": {"kind": "user", "tenantId": person.tenant_id, "aadObjectId": person.object_id},
        "text": text,
    }


def put_on_queue(body: str, *, connection_string: str, queue_name: str = DEFAULT_QUEUE) -> None:
    """Put ``body`` on the queue as it is; the queue is made if it is not there yet."""
    with QueueClient.from_connection_string(connection_string, queue_name) as queue:
        with suppress(ResourceExistsError):
            queue.create_queue()
        queue.send_message(body)


def send(text: str, *, connection_string: str, settings: Mapping[str, str]) -> str:
    """Send ``text`` to the person at the Playground; the id of the delivery comes back."""
    message = proactive_message(text)
    put_on_queue(
        json.dumps(message),
        connection_string=connection_string,
        queue_name=settings.get("ProactiveMessagesQueue", DEFAULT_QUEUE),
    )
    return str(message["deliveryId"])
