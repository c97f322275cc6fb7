"""The poison queue: where a message goes that was tried too often, or cannot be read."""

import logging

from devhost.queue.queue_lease import QueueLease
from devhost.queue.queue_sending import send_creating
from devhost.storage.resource_names import is_queue_name
from devhost.storage.storage_connection import StorageConnections

logger = logging.getLogger("devhost")


def poison_name(queue_name: str) -> str | None:
    """Name of the poison queue; None behind a poison queue, and behind a name too long for one."""
    name = f"{queue_name}-poison"
    return name if not queue_name.endswith("-poison") and is_queue_name(name) else None


class PoisonQueue:
    """The poison queue of one queue, made when the first message comes."""

    def __init__(self, queue_name: str, connection: str, storage: StorageConnections) -> None:
        name = poison_name(queue_name)
        self._queue = storage.queue(connection, name) if name else None

    async def take(self, lease: QueueLease) -> None:
        """Move a message here. Without a poison queue it stays invisible, as on the real host.

        Raises AzureError; then the message stays where it is.
        """
        if self._queue is None:
            return
        logger.warning("Moving message %s to queue '%s'.", lease.message.id, self._queue.queue_name)
        # The copy comes first: a death in between loses nothing.
        await send_creating(self._queue, lease.message.content or "")
        await lease.delete()
