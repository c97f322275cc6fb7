"""deliver(): one proactive message to its conversation, once; the only proactive way out."""

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import msgspec

from agent.addressing import ConversationUnknown, conversation_for, create_conversation
from agent.conversation import Conversation
from agent.delivery_record import ENDED, DeliveryRecord, DeliveryState
from agent.ports import (
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    Clock,
    Connector,
    ConversationGone,
    ConversationNotFound,
    ConversationStore,
    DeliveryAmbiguous,
    DeliveryLedger,
    DeliveryOptions,
    ProactiveQueue,
    Services,
)
from agent.proactive_message import (
    ProactiveMessage,
    ToUser,
    UnusableMessage,
    parse_proactive_message,
)

# An attempt is ended after SEND_LASTS; so one that says "sending" for longer than SEND_HOLDS has died.
SEND_LASTS = timedelta(seconds=15)
SEND_HOLDS = timedelta(seconds=20)
# A message whose sending had no answer may have arrived: it is sent again this often, and no more.
RESENDS = 1
# A busy channel is waited for by putting the message back: at least as long as it says, and ever longer.
SHORTEST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)  # unless the channel asks for more
LONGEST_DELAY = timedelta(days=7)  # of a queue message (Azure Queue Storage, "Put Message")
MOST_WAITS = 20


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
    """Send the message unless it was sent; how it ended: sent, gone, expired, or failed for good.

    Raises what is worth another attempt, its reason in the ledger: ConversationUnknown, DeliveryInProgress,
    ChannelBusy, TokenRefused, and for the first time DeliveryAmbiguous or TimeoutError.
    """
    record = await _claim(message.delivery_id, ledger=ledger, clock=clock)
    if record.state in ENDED:
        return record
    if message.is_expired(clock.now()):
        return await _note(record, "expired", ledger=ledger, clock=clock)
    try:
        async with asyncio.timeout(SEND_LASTS.total_seconds()):
            activity_id = await _send(
                message, conversations=conversations, connector=connector, options=options, clock=clock
            )
    except ConversationGone as error:
        return await _note(record, "gone", ledger=ledger, clock=clock, reason=reason_of(error))
    except ChannelRefused as error:
        return await _fail(record, message, error, ledger=ledger, clock=clock)
    except (DeliveryAmbiguous, TimeoutError) as error:
        record = msgspec.structs.replace(record, ambiguities=record.ambiguities + 1)
        if record.ambiguities > RESENDS:
            return await _fail(record, message, error, ledger=ledger, clock=clock)
        await _note(record, "retrying", ledger=ledger, clock=clock, reason=reason_of(error))
        raise
    except Exception as error:
        # Whatever it is, each attempt leaves its reason; what to do about it is the caller's.
        await _note(record, "retrying", ledger=ledger, clock=clock, reason=reason_of(error))
        raise
    return await _note(record, "sent", ledger=ledger, clock=clock, activity_id=activity_id)


async def deliver_or_put_back(
    message: ProactiveMessage, *, queue: ProactiveQueue, services: Services
) -> DeliveryRecord:
    """Deliver a message of the queue; while the channel is busy, put it back to be shown later.

    It goes back as a fresh message, so that waiting costs none of its attempts; its waits travel with it,
    and after MOST_WAITS it is left to the queue's own retries. Raises as ``deliver`` does.
    """
    try:
        return await deliver(
            message,
            ledger=services.ledger,
            conversations=services.conversations,
            connector=services.connector,
            options=services.delivery_options,
            clock=services.clock,
        )
    except ChannelBusy as busy:
        if message.waits >= MOST_WAITS:
            raise
        waiting = msgspec.structs.replace(message, waits=message.waits + 1)
        longer_each_time = min(SHORTEST_WAIT * 2**message.waits, LONGEST_WAIT)
        delay = min(max(longer_each_time, busy.retry_after), LONGEST_DELAY)
        await queue.put(msgspec.json.encode(waiting), delay=delay)
        record = await services.ledger.read(message.delivery_id)
        assert record is not None, "deliver() wrote it"
        return await _note(
            record, "waiting", ledger=services.ledger, clock=services.clock, reason=reason_of(busy)
        )


async def note_unusable(body: bytes, error: UnusableMessage, *, ledger: DeliveryLedger, clock: Clock) -> None:
    """Leave in the ledger why this queue message could not even be read."""
    record = await _claim(unusable_id(body), ledger=ledger, clock=clock)
    if record.state not in ENDED:
        await _note(record, "retrying", ledger=ledger, clock=clock, reason=reason_of(error))


async def close_undelivered(body: bytes, *, ledger: DeliveryLedger, clock: Clock) -> DeliveryRecord:
    """End the record of a message that came to the poison queue, keeping its body and its last reason."""
    try:
        delivery_id = parse_proactive_message(body).delivery_id
        reason = "came to the poison queue"
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
    """An attempt's reason as it is kept: the error's class and our own words, with the cause's class."""
    if not isinstance(error, (ChannelError, ConversationUnknown, UnusableMessage)):
        return type(error).__name__  # the words of others may quote anything
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
    return await ledger.replace(noted) or noted


async def _fail(
    record: DeliveryRecord,
    message: ProactiveMessage,
    error: Exception,
    *,
    ledger: DeliveryLedger,
    clock: Clock,
) -> DeliveryRecord:
    """End the delivery as failed; its message stays in the record."""
    kept = msgspec.structs.replace(record, body=msgspec.json.encode(message))
    return await _note(kept, "failed", ledger=ledger, clock=clock, reason=reason_of(error))


async def _send(
    message: ProactiveMessage,
    *,
    conversations: ConversationStore,
    connector: Connector,
    options: DeliveryOptions,
    clock: Clock,
) -> str | None:
    """Send the message to its conversation; a user's that the channel has lost is created anew, once."""
    to, outgoing = message.to, message.answer.to_activity()
    conversation = await conversation_for(
        to, conversations=conversations, connector=connector, options=options
    )
    try:
        try:
            return await _post(outgoing, conversation, connector=connector)
        except ConversationNotFound:
            if not isinstance(to, ToUser):
                raise
            conversation = await create_conversation(
                to,
                conversations=conversations,
                connector=connector,
                options=options,
                instead_of=conversation,
            )
            return await _post(outgoing, conversation, connector=connector)
    except ConversationGone:
        await conversations.mark_gone(conversation.channel_id, conversation.conversation_id, at=clock.now())
        raise


async def _post(outgoing: dict[str, Any], conversation: Conversation, *, connector: Connector) -> str | None:
    return (await connector.send(outgoing, at=conversation.place)).activity_id
