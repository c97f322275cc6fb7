"""What an attempt at a delivery that did not end in sent makes of its record."""

import zlib
from datetime import datetime, timedelta

import msgspec

from agent.addressing import ConversationUnknown
from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.ports import (
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    ConversationGone,
    DeliveryAmbiguous,
    SendPaced,
)
from agent.proactive_message import ProactiveMessage, UnusableMessage

# With "resend", what may have arrived is sent again this often before it is given up as ambiguous.
MOST_RESENDS = 5
# A busy channel is waited for at least as long as it says, and ever longer.
SHORTEST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(hours=1)  # unless the channel asks for more
JITTER = 0.25  # of the wait, so that what was refused together does not come back together


def after_setback(
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
        wait, attempts = _spread(record, error.retry_after, at_most=SHORTEST_WAIT), record.attempts - 1
    else:
        wait, attempts = _wait(record, at_least=error.retry_after), record.attempts
    return msgspec.structs.replace(record, state="busy", busy_until=now + wait, attempts=attempts)


def _wait(record: DeliveryRecord, *, at_least: timedelta) -> timedelta:
    """How long to wait after this attempt: longer each time."""
    longer_each_time = min(SHORTEST_WAIT * 2 ** min(record.attempts - 1, 12), LONGEST_WAIT)
    return _spread(record, max(longer_each_time, at_least))


def _spread(record: DeliveryRecord, wait: timedelta, *, at_most: timedelta = timedelta.max) -> timedelta:
    """The wait and up to JITTER more, which differs from message to message."""
    return wait + min(wait, at_most) * (
        JITTER * zlib.crc32(f"{record.delivery_id}.{record.attempts}".encode()) / 2**32
    )


def reason_of(error: Exception) -> str:
    """An attempt's reason as it is kept: the error's class and our own words, with the cause's class."""
    if not isinstance(error, (ChannelError, ConversationUnknown, UnusableMessage)):
        return type(error).__name__  # the words of others may quote anything
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
    return f"{type(error).__name__}: {error}{cause}"[:1000]
