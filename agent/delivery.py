"""deliver(): one message that goes out unasked, once; the only way out for what is no reply in a turn."""

import asyncio
import zlib
from datetime import datetime, timedelta

import msgspec

from agent.addressing import ConversationUnknown
from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.ports import (
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    Clock,
    Connector,
    ConversationGone,
    ConversationStore,
    DeliveryAmbiguous,
    DeliveryLedger,
    DeliveryOptions,
    SendPaced,
)
from agent.proactive_message import ProactiveMessage, UnusableMessage
from agent.reaching import OnItsWay, Reached, reach
from agent.sizing import fitted

# An attempt is ended after SEND_LASTS; so one that says "sending" for longer than SEND_HOLDS has died.
SEND_LASTS = timedelta(seconds=15)
SEND_HOLDS = timedelta(seconds=20)
# With "resend", what may have arrived is sent again this often before it is given up as ambiguous.
MOST_RESENDS = 5
# A busy channel is waited for at least as long as it says, and ever longer.
SHORTEST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(hours=1)  # unless the channel asks for more
JITTER = 0.25  # of the wait, so that what was refused together does not come back together


async def deliver(
    message: ProactiveMessage,
    *,
    when_ambiguous: WhenAmbiguous,
    ledger: DeliveryLedger,
    conversations: ConversationStore,
    connector: Connector,
    options: DeliveryOptions,
    clock: Clock,
) -> DeliveryRecord:
    """Send the message unless it was sent; its record.

    The record has ended (sent, gone, expired, ambiguous, failed), or says when to come back
    (``waits_until``): the channel is busy, another process is sending it, or it is to be sent again.
    Raises what is worth another attempt, its reason in the ledger: ConversationUnknown, TokenRefused, and
    whatever nobody foresaw.
    """
    claimed = await _claim(message, when_ambiguous=when_ambiguous, ledger=ledger, clock=clock)
    if claimed.state != "sending":
        return claimed
    attempt = _Attempt(claimed, ledger=ledger, clock=clock)
    if message.is_expired(clock.now()):
        return await attempt.note(msgspec.structs.replace(claimed, state="expired"))
    ends_at = claimed.updated_at + SEND_LASTS  # counted as others count it: the claim's write may be slow
    try:
        async with asyncio.timeout((ends_at - clock.now()).total_seconds()):
            reached = await attempt.send(
                message, conversations=conversations, connector=connector, options=options
            )
    except _TakenOver:
        return _held_by_another(attempt.record, until=clock.now() + SEND_HOLDS)
    except Exception as error:
        # Whatever it is, each attempt leaves its reason; what nobody foresaw is the caller's.
        after = _after(
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
        await conversations.move(reached.moved, service_url=reached.moved.service_url)
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
        self,
        message: ProactiveMessage,
        *,
        conversations: ConversationStore,
        connector: Connector,
        options: DeliveryOptions,
    ) -> Reached:
        """Send what is still to be sent of the message. Each part is known to have arrived, or not."""
        parts = fitted(message.to_activity(), max_bytes=options.max_activity_bytes)
        reached = None
        for number, part in enumerate(parts[self.record.parts_sent :], start=self.record.parts_sent):
            if reached:
                going_on = msgspec.structs.replace(
                    self.record, parts_sent=number, conversation_id=reached.conversation_id
                )
                await self.note(going_on)
                if not self.is_ours:
                    raise _TakenOver
            reached = await reach(
                message.to,
                part,
                thread=self.record.conversation_id if number else None,
                on_its_way=self.on_its_way,
                conversations=conversations,
                connector=connector,
                options=options,
                clock=self._clock,
            )
        assert reached is not None, "a message has one part at least"
        return reached

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
        record = _after(record, died, message, when_ambiguous=when_ambiguous, now=now)
    if not record.has_ended:
        record = msgspec.structs.replace(
            record, state="sending", busy_until=None, attempts=record.attempts + 1
        )
    mine = await ledger.replace(msgspec.structs.replace(record, updated_at=now))
    return mine or _held_by_another(record, until=now + SEND_HOLDS)


def _held_by_another(record: DeliveryRecord, *, until: datetime) -> DeliveryRecord:
    """What the caller is told; it is not written: the record is another's."""
    return msgspec.structs.replace(record, state="busy", busy_until=until, reason="it is being sent just now")


def _after(
    record: DeliveryRecord,
    error: Exception,
    message: ProactiveMessage,
    *,
    when_ambiguous: WhenAmbiguous,
    now: datetime,
    may_have_arrived: bool = True,
) -> DeliveryRecord:
    """The record after an attempt that ended in ``error``; ``may_have_arrived``: where that is a time-out."""
    if isinstance(error, TimeoutError) and not may_have_arrived:
        error = ChannelBusy("no time was left to send it", retry_after=SHORTEST_WAIT)
    record = msgspec.structs.replace(record, reason=reason_of(error), trace=getattr(error, "trace", ""))
    kept = msgspec.structs.replace(record, busy_until=None, body=msgspec.json.encode(message))
    match error:
        case ConversationGone():
            return msgspec.structs.replace(record, state="gone")
        case ChannelRefused():  # one before this may have arrived all the same
            return msgspec.structs.replace(kept, state="ambiguous" if record.ambiguities else "failed")
        case ChannelBusy():
            return _busy(record, error, now=now)
        case DeliveryAmbiguous() | TimeoutError():
            ambiguities = record.ambiguities + 1
            if when_ambiguous == "hold" or ambiguities > MOST_RESENDS:
                return msgspec.structs.replace(kept, state="ambiguous", ambiguities=ambiguities)
            until = now + _wait(record, at_least=SHORTEST_WAIT)
            return msgspec.structs.replace(
                record, state="ambiguous", ambiguities=ambiguities, busy_until=until
            )
    return msgspec.structs.replace(record, state="accepted")


def _busy(record: DeliveryRecord, error: ChannelBusy, *, now: datetime) -> DeliveryRecord:
    if isinstance(error, SendPaced):  # no attempt was made, and the channel is no busier than before
        wait, attempts = _spread(record, error.retry_after), record.attempts - 1
    else:
        wait, attempts = _wait(record, at_least=error.retry_after), record.attempts
    return msgspec.structs.replace(record, state="busy", busy_until=now + wait, attempts=attempts)


def _wait(record: DeliveryRecord, *, at_least: timedelta) -> timedelta:
    """How long to wait after this attempt: longer each time."""
    longer_each_time = min(SHORTEST_WAIT * 2 ** min(record.attempts - 1, 12), LONGEST_WAIT)
    return _spread(record, max(longer_each_time, at_least))


def _spread(record: DeliveryRecord, wait: timedelta) -> timedelta:
    """The wait and up to JITTER more, which differs from message to message."""
    return wait * (1 + JITTER * zlib.crc32(f"{record.delivery_id}.{record.attempts}".encode()) / 2**32)


def reason_of(error: Exception) -> str:
    """An attempt's reason as it is kept: the error's class and our own words, with the cause's class."""
    if not isinstance(error, (ChannelError, ConversationUnknown, UnusableMessage)):
        return type(error).__name__  # the words of others may quote anything
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
    return f"{type(error).__name__}: {error}{cause}"[:1000]
