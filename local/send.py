"""`python -m local send`: puts one proactive message on the storage queue, as another system would."""

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import QueueClient

from local.playground import person_at_the_playground
from local.processes import StackError

DEFAULT_QUEUE = "proactive-messages"
# Azurite on this machine answers at once; what does not is something else, and waiting does not help.
CLIENT: dict[str, Any] = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 15}


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
    with QueueClient.from_connection_string(connection_string, queue_name, **CLIENT) as queue:
        with suppress(ResourceExistsError):
            queue.create_queue()
        queue.send_message(body)


def send(text: str, *, connection_string: str, settings: Mapping[str, str]) -> str:
    """Send ``text`` to the person at the Playground; the id of the delivery comes back.

    StackError if what answers there is not Azurite, or refuses.
    """
    message = proactive_message(text)
    queue_name = settings.get("ProactiveMessagesQueue", DEFAULT_QUEUE)
    try:
        put_on_queue(json.dumps(message), connection_string=connection_string, queue_name=queue_name)
    except AzureError as error:
        raise StackError(
            f'The queue "{queue_name}" did not take the message ({_reason(error)}): '
            "is it Azurite that listens there? `make run` starts it"
        ) from error
    return str(message["deliveryId"])


def _reason(error: AzureError) -> str:
    """One line, without the body of an answer that may be a whole page."""
    if isinstance(error, HttpResponseError) and error.status_code:
        return f"HTTP {error.status_code}, {error.reason or 'no reason given'}"
    return error.message.splitlines()[0] if error.message else type(error).__name__
