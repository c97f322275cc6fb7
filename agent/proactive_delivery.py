"""Proactive messages of the queue: accepted, delivered, and put back while the channel is busy."""

from datetime import timedelta
from typing import Any

import msgspec

from agent.delivery import deliver
from agent.delivery_record import DeliveryRecord
from agent.ports import Clock, DeliveryLedger, ProactiveQueue, Services
from agent.proactive_message import ProactiveMessage
from agent.setbacks import SHORTEST_WAIT

LONGEST_DELAY = timedelta(days=7)  # of a queue message (Azure Queue Storage, "Put Message")


async def accept(message: ProactiveMessage, *, ledger: DeliveryLedger, clock: Clock) -> DeliveryRecord:
    """The record of a message that is about to be put on the queue, or that was put there before."""
    first = DeliveryRecord(delivery_id=message.delivery_id, state="accepted", updated_at=clock.now())
    return await ledger.insert(first) or await ledger.read(message.delivery_id) or first


def told(record: DeliveryRecord) -> dict[str, Any]:
    """A record as its sender may see it: without the message."""
    plain = {
        "deliveryId": record.delivery_id,
        "state": record.state,
        "hasEnded": record.has_ended,
        "updatedAt": record.updated_at,
        "attempts": record.attempts,
        "ambiguities": record.ambiguities,
        "busyUntil": record.busy_until,
        "reason": record.reason,
        "activityId": record.activity_id,
        "conversationId": record.conversation_id,
        "trace": record.trace,
    }
    return {name: value for name, value in plain.items() if value not in (None, "")}


async def deliver_or_put_back(
    message: ProactiveMessage, *, queue: ProactiveQueue, services: Services
) -> DeliveryRecord:
    """Deliver a message of the queue; if it is to be waited for, put it back to be shown later.

    It goes back as a fresh message, so that waiting costs none of its attempts; how often and since when it
    waits travels with it. Raises as ``deliver`` does.
    """
    record = await deliver(
        message,
        when_ambiguous=services.delivery_options.ambiguous_sends or "hold",
        services=services,
    )
    if record.waits_until is None:
        return record
    now = services.clock.now()
    waiting = msgspec.structs.replace(
        message, waits=message.waits + 1, waiting_since=message.waiting_since or now
    )
    delay = min(max(record.waits_until - now, SHORTEST_WAIT), LONGEST_DELAY)
    await queue.put(msgspec.json.encode(waiting), delay=delay)
    return record
