"""What becomes of messages that cannot be delivered: their reason and their body, in the ledger."""

import hashlib

import msgspec

from agent.delivery_record import DeliveryRecord
from agent.ports import Clock, DeliveryLedger
from agent.proactive_message import UnusableMessage, parse_proactive_message
from agent.setbacks import reason_of


async def note_unusable(body: bytes, error: UnusableMessage, *, ledger: DeliveryLedger, clock: Clock) -> None:
    """Leave in the ledger why this queue message could not even be read."""
    now, reason = clock.now(), reason_of(error)
    first = DeliveryRecord(
        delivery_id=unusable_id(body), state="accepted", updated_at=now, attempts=1, reason=reason
    )
    if await ledger.insert(first):
        return
    record = await ledger.read(first.delivery_id)
    if record and not record.has_ended:
        await ledger.replace(
            msgspec.structs.replace(record, updated_at=now, attempts=record.attempts + 1, reason=reason)
        )


async def close_undelivered(body: bytes, *, ledger: DeliveryLedger, clock: Clock) -> DeliveryRecord:
    """End the record of a message that is given up, keeping its body and its last reason.

    One that was being sent when its process died for the last time may have arrived: it is ambiguous.
    """
    try:
        delivery_id = parse_proactive_message(body).delivery_id
        reason = "given up"
    except UnusableMessage as error:
        delivery_id, reason = unusable_id(body), reason_of(error)
    now = clock.now()
    closed = DeliveryRecord(delivery_id=delivery_id, state="failed", updated_at=now, reason=reason, body=body)
    if inserted := await ledger.insert(closed):
        return inserted
    while True:
        record = await ledger.read(delivery_id)
        assert record is not None, "records are only dropped once they have ended and aged"
        if record.has_ended:
            return record
        closed = msgspec.structs.replace(
            record,
            state="ambiguous" if record.state == "sending" or record.ambiguities else "failed",
            busy_until=None,
            updated_at=now,
            reason=record.reason or reason,
            body=body,
        )
        if replaced := await ledger.replace(closed):
            return replaced


def unusable_id(body: bytes) -> str:
    """The delivery id of a message that tells none: the same for each attempt at the same body."""
    return f"unusable-{hashlib.sha256(body).hexdigest()[:32]}"
