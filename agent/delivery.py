"""deliver(): one message that goes out unasked, once; the only way out for what is no reply in a turn."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.ports import (
    ChannelRefused,
    Clock,
    DeliveryAmbiguous,
    DeliveryLedger,
    Services,
    StreamEnded,
)
from agent.proactive_message import ProactiveMessage, ToConversation
from agent.reaching import OnItsWay, Reached, reach
from agent.setbacks import SHORTEST_WAIT, after_setback
from agent.sizing import fitted
from agent.stream import OpenStream, final

Post = Callable[..., Coroutine[Any, Any, Reached]]

# An attempt is ended after SEND_LASTS; so one that says "sending" for longer than SEND_HOLDS has died.
SEND_LASTS = timedelta(seconds=15)
SEND_HOLDS = timedelta(seconds=20)


async def deliver(
    message: ProactiveMessage,
    *,
    when_ambiguous: WhenAmbiguous,
    services: Services,
    stream: OpenStream | None = None,
) -> DeliveryRecord:
    """Send the message unless it was sent; its record.

    With a ``stream`` it goes as that stream's final, into a conversation; as a message of its own where the
    stream does not take it.

    The record has ended (sent, gone, expired, ambiguous, failed), or says when to come back
    (``waits_until``): the channel is busy, another process is sending it, or it is to be sent again.
    Raises what is worth another attempt, its reason in the ledger: ConversationUnknown, TokenRefused, and
    whatever nobody foresaw.
    """
    ledger, clock = services.ledger, services.clock
    claimed = await _claim(message, when_ambiguous=when_ambiguous, ledger=ledger, clock=clock)
    if claimed.state != "sending":
        return claimed
    attempt = _Attempt(claimed, ledger=ledger, clock=clock)
    if message.is_expired(clock.now()):
        return await attempt.note(msgspec.structs.replace(claimed, state="expired"))
    ends_at = claimed.updated_at + SEND_LASTS  # counted as others count it: the claim's write may be slow
    try:
        async with asyncio.timeout((ends_at - clock.now()).total_seconds()):
            reached = await attempt.send(message, stream, services=services)
    except _TakenOver:
        return _held_by_another(attempt.record, until=clock.now() + SEND_HOLDS)
    except Exception as error:
        # Whatever it is, each attempt leaves its reason; what nobody foresaw is the caller's.
        after = after_setback(
            attempt.record,
            error,
            message,
            when_ambiguous=when_ambiguous,
            now=clock.now(),
            may_have_arrived=attempt.on_its_way.is_one,
        )
        noted = await attempt.note(after)
        if noted.state == "accepted":
            raise
        return noted
    sent = msgspec.structs.replace(
        attempt.record,
        state="sent",
        reason="",
        activity_id=reached.activity_id,
        conversation_id=reached.conversation_id,
        trace=reached.trace,
    )
    noted = await attempt.note(sent)
    if reached.moved:  # only now: what breaks here must not have the message sent again
        await services.conversations.move(reached.moved, service_url=reached.moved.service_url)
    return noted


class _TakenOver(Exception):
    """Another process goes on with this delivery, or has ended it."""


class _Attempt:
    """One attempt at a delivery that is claimed, with its record as we know it."""

    def __init__(self, record: DeliveryRecord, *, ledger: DeliveryLedger, clock: Clock) -> None:
        self.record = record
        self.is_ours = True
        self.on_its_way = OnItsWay()
        self._ledger = ledger
        self._clock = clock

    async def send(
        self, message: ProactiveMessage, stream: OpenStream | None, *, services: Services
    ) -> Reached:
        """Send what is still to be sent of the message. Each part is known to have arrived, or not."""
        post = partial(
            reach,
            message.to,
            on_its_way=self.on_its_way,
            conversations=services.conversations,
            connector=services.connector,
            options=services.delivery_options,
            clock=self._clock,
        )
        parts = fitted(message.to_activity(), max_bytes=services.delivery_options.max_activity_bytes)
        reached = None
        for number, part in enumerate(parts[self.record.parts_sent :], start=self.record.parts_sent):
            if reached:
                await self._go_on(parts_sent=number, conversation_id=reached.conversation_id)
            reached = await self._end_stream(stream, part, message, post) if stream and not number else None
            if reached is None:
                reached = await post(part, thread=self.record.conversation_id if number else None)
        assert reached is not None, "a message has one part at least"
        return reached

    async def _end_stream(
        self, stream: OpenStream, part: dict[str, Any], message: ProactiveMessage, post: Post
    ) -> Reached | None:
        """Send the part as the stream's final; None where the stream does not take it."""
        is_its_end = str(part.get("text", "")).startswith(stream.text)
        if self.record.is_beside_stream or not is_its_end or not isinstance(message.to, ToConversation):
            return None
        try:
            reached = await post(final(part, stream_id=stream.stream_id), thread=None)
        except ChannelRefused as error:
            if isinstance(error, StreamEnded) and error.why == "completed" and self.record.ambiguities:
                # By the attempt before, of which no answer told that.
                return Reached(
                    activity_id=stream.stream_id,
                    conversation_id=message.to.conversation_id,
                    trace=error.trace,
                )
            # Noted before the message goes: "completed" would tell nothing of that one.
            await self._go_on(is_beside_stream=True)
            return None
        return msgspec.structs.replace(reached, activity_id=stream.stream_id)

    async def _go_on(self, **fields: Any) -> None:
        """Note how far the attempt is. Raises _TakenOver."""
        await self.note(msgspec.structs.replace(self.record, **fields))
        if not self.is_ours:
            raise _TakenOver

    async def note(self, record: DeliveryRecord) -> DeliveryRecord:
        """Write the record, unless another process has taken the delivery over meanwhile."""
        # Kept before it is written: if that breaks, the next write tells it.
        self.record = msgspec.structs.replace(record, updated_at=self._clock.now())
        written = await self._ledger.replace(self.record)
        self.is_ours = written is not None
        self.record = written or self.record
        return self.record


async def _claim(
    message: ProactiveMessage, *, when_ambiguous: WhenAmbiguous, ledger: DeliveryLedger, clock: Clock
) -> DeliveryRecord:
    """The record in state ``sending`` for us, or as it ended, or with the time to come back at."""
    now = clock.now()
    first = DeliveryRecord(delivery_id=message.delivery_id, state="sending", updated_at=now, attempts=1)
    if inserted := await ledger.insert(first):
        return inserted
    record = await ledger.read(message.delivery_id)
    if record is None:  # dropped just now, for its age
        return _held_by_another(first, until=now + SHORTEST_WAIT)
    is_early = record.waits_until is not None and now < record.waits_until
    if record.has_ended or (is_early and not message.is_expired(now)):
        return record
    if record.state == "sending":
        if now < record.updated_at + SEND_HOLDS:
            return _held_by_another(record, until=record.updated_at + SEND_HOLDS)
        died = DeliveryAmbiguous("the process died, or lost its storage, while it sent")
        record = after_setback(record, died, message, when_ambiguous=when_ambiguous, now=now)
    if not record.has_ended:
        record = msgspec.structs.replace(
            record, state="sending", busy_until=None, attempts=record.attempts + 1
        )
    mine = await ledger.replace(msgspec.structs.replace(record, updated_at=now))
    return mine or _held_by_another(record, until=now + SEND_HOLDS)


def _held_by_another(record: DeliveryRecord, *, until: datetime) -> DeliveryRecord:
    """What the caller is told; it is not written: the record is another's."""
    return msgspec.structs.replace(record, state="busy", busy_until=until, reason="it is being sent just now")
