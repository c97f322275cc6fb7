"""deliver(): one proactive message to its conversation, once; the only proactive way out."""

import hashlib
from datetime import timedelta

import msgspec

from agent.addressing import ConversationUnknown, conversation_for
from agent.conversation import Conversation
from agent.delivery_record import ENDED, DeliveryRecord, DeliveryState
from agent.ports import (
    ChannelError,
    Clock,
    Connector,
    ConversationGone,
    ConversationStore,
    DeliveryLedger,
    DeliveryOptions,
)
from agent.proactive_message import (
    ProactiveMessage,
    UnusableMessage,
    parse_proactive_message,
)

# A send that began longer ago than this is over, or its process died (the connector's time-out and a margin).
SEND_HOLDS = timedelta(seconds=20)


class DeliveryInProgress(Exception):
    """Another process is sending this very message now: come back later."""


async def deliver(
    message: ProactiveMessage,
    *,
    ledger: DeliveryLedger,
    conversations: ConversationStore,
    connector: Connector,
    options: DeliveryOptions,
    clock: Clock,
) -> DeliveryRecord:
    """Send the message unless it was sent; how it ended: sent, gone or expired.

    Raises ConversationUnknown, DeliveryInProgress and the errors of Connector but ConversationGone; the
    attempt's reason is in the ledger then.
    """
    record = await _claim(message.delivery_id, ledger=ledger, clock=clock)
    if record.state in ENDED:
        return record
    if message.is_expired(clock.now()):
        return await _note(record, "expired", ledger=ledger, clock=clock)
    try:
        conversation = await conversation_for(
            message.to, conversations=conversations, connector=connector, options=options
        )
        if conversation.gone_at:
            return await _note(record, "gone", ledger=ledger, clock=clock, reason="gone before this message")
        activity_id = await _send(message, conversation, conversations, connector=connector, clock=clock)
    except ConversationGone as error:
        return await _note(record, "gone", ledger=ledger, clock=clock, reason=reason_of(error))
    except (ChannelError, ConversationUnknown) as error:
        await _note(record, "retrying", ledger=ledger, clock=clock, reason=reason_of(error))
        raise
    return await _note(record, "sent", ledger=ledger, clock=clock, activity_id=activity_id)


async def note_unusable(body: bytes, error: UnusableMessage, *, ledger: DeliveryLedger, clock: Clock) -> None:
    """Leave in the ledger why this queue message could not even be read."""
    record = await _claim(unusable_id(body), ledger=ledger, clock=clock)
    if record.state not in ENDED:
        await _note(record, "retrying", ledger=ledger, clock=clock, reason=reason_of(error))


async def close_undelivered(body: bytes, *, ledger: DeliveryLedger, clock: Clock) -> DeliveryRecord:
    """End the record of a message that came to the poison queue, keeping its body and its last reason."""
    try:
        delivery_id = parse_proactive_message(body).delivery_id
        reason = "came to the poison queue without an attempt"
    except UnusableMessage as error:
        delivery_id, reason = unusable_id(body), reason_of(error)
    now = clock.now()
    closed = DeliveryRecord(delivery_id=delivery_id, state="failed", updated_at=now, reason=reason, body=body)
    if inserted := await ledger.insert(closed):
        return inserted
    while True:
        record = await ledger.read(delivery_id)
        assert record is not None, "records are only dropped once they have ended and aged"
        if record.state in ENDED:
            return record
        closed = msgspec.structs.replace(
            record, state="failed", updated_at=now, reason=record.reason or reason, body=body
        )
        if replaced := await ledger.replace(closed):
            return replaced


def unusable_id(body: bytes) -> str:
    """The delivery id of a message that tells none: the same for each attempt at the same body."""
    return f"unusable-{hashlib.sha256(body).hexdigest()[:32]}"


def reason_of(error: Exception) -> str:
    """An attempt's reason as it is kept: the error's class and words, with the cause's class."""
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
    return f"{type(error).__name__}: {error}{cause}"[:1000]


async def _claim(delivery_id: str, *, ledger: DeliveryLedger, clock: Clock) -> DeliveryRecord:
    """The record in state ``sending`` for us, or as it ended. Raises DeliveryInProgress."""
    now = clock.now()
    first = DeliveryRecord(delivery_id=delivery_id, state="sending", updated_at=now, attempts=1)
    if inserted := await ledger.insert(first):
        return inserted
    record = await ledger.read(delivery_id)
    if record and record.state in ENDED:
        return record
    if record and (record.state != "sending" or now - record.updated_at >= SEND_HOLDS):
        claimed = msgspec.structs.replace(
            record, state="sending", updated_at=now, attempts=record.attempts + 1
        )
        if mine := await ledger.replace(claimed):
            return mine
    raise DeliveryInProgress(f"delivery {delivery_id} is being sent")


async def _note(
    record: DeliveryRecord,
    state: DeliveryState,
    *,
    ledger: DeliveryLedger,
    clock: Clock,
    reason: str = "",
    activity_id: str | None = None,
) -> DeliveryRecord:
    noted = msgspec.structs.replace(
        record, state=state, updated_at=clock.now(), reason=reason, activity_id=activity_id
    )
    await ledger.replace(noted)
    return noted


async def _send(
    message: ProactiveMessage,
    conversation: Conversation,
    conversations: ConversationStore,
    *,
    connector: Connector,
    clock: Clock,
) -> str | None:
    try:
        return await connector.send(
            message.answer.to_activity(),
            service_url=conversation.service_url,
            conversation_id=conversation.conversation_id,
        )
    except ConversationGone:
        await conversations.mark_gone(conversation.channel_id, conversation.conversation_id, at=clock.now())
        raise
