"""What the Bot Connector's answers mean, each as one error of the Connector port.

Teams documentation, "Send proactive messages", section "Status code responses", "Handle bot rate limits",
and "Stream bot messages", section "Response codes".
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from agent.ports import (
    ActivityNotFound,
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    ConversationGone,
    ConversationNotFound,
    DeliveryAmbiguous,
    MessageTooLarge,
    Slows,
    StreamEnded,
    StreamPartDropped,
)
from agent.view import WhyEnded

DEFAULT_RETRY_AFTER = timedelta(seconds=5)
LONGEST_RETRY_AFTER = timedelta(days=1)
TRACES = ("MS-CV", "x-ms-conversation-id", "x-ms-tenant-id")
LONGEST_CODE = 64
# After these nothing gets through until the user is heard again.
GONE_CODES = frozenset(
    {
        "BotDisabledByAdmin",
        "BotNotInConversationRoster",
        "ConversationBlockedByUser",
        "ForbiddenOperationException",
        "MessageWritesBlocked",
    }
)
SLOWS: dict[int, Slows] = {412: "conversation", 429: "tenant"}
MESSAGE_WRITES_BLOCKED = 209  # Teams' number for it, in the nested form of the error
STREAM_NOT_ALLOWED = "ContentStreamNotAllowed"
STREAM_NOT_ENABLED = "streaming api is not enabled"  # comes with 400
STREAM_PART_DROPPED = "ContentStreamSequenceOrderPreConditionFailed"
# One code says that a stream has ended; the words of its message tell why. The first that fit hold.
WHY_ENDED: tuple[tuple[str, WhyEnded], ...] = (
    ("by user", "stopped"),  # written "canceled" and "cancelled"
    ("already completed", "completed"),
    ("exceeded streaming time", "over"),
    ("size too large", "over"),
)


class TokenNotTaken(ChannelError):
    """The channel answered 401: it does not take the token."""


class WrongHost(ChannelError):
    """Another host serves this tenant (403 InvalidBotApiHost)."""


def error_of(status: int, headers: Mapping[str, str], answer: bytes, *, may_repeat: bool) -> ChannelError:
    """The error of an answer other than success. ``may_repeat``: made twice the request does no more."""
    code = error_code(answer)
    said = f"the channel answered {status} {code}".strip()
    trace = trace_of(headers)
    is_unclear = status >= 500 or status == 408
    if status in (412, 429) or (is_unclear and may_repeat):
        return ChannelBusy(
            said, retry_after=retry_after(headers), slows=SLOWS.get(status, "nothing"), trace=trace
        )
    if why := _why_stream_ended(status, code, answer):
        return StreamEnded(f"{said}: {why}", why=why, trace=trace)
    kind: type[ChannelError] = ChannelRefused
    if status == 401:
        kind = TokenNotTaken
    elif status == 403 and code == "InvalidBotApiHost":
        kind = WrongHost
    elif status == 404 and code == "ConversationNotFound":
        kind = ConversationNotFound
    elif status == 404 and code == "ActivityNotFoundInConversation":
        kind = ActivityNotFound
    elif status in (403, 404) and code in GONE_CODES:
        kind = ConversationGone
    elif status == 413 or code == "MessageSizeTooBig":
        kind = MessageTooLarge
    elif is_unclear:
        kind = DeliveryAmbiguous
    return kind(said, trace=trace)


def error_of_success(status: int, headers: Mapping[str, str], answer: bytes) -> ChannelError | None:
    """The error of an answer with a success code, which one has: a part of a stream that was dropped."""
    if status == 202 and error_code(answer) == STREAM_PART_DROPPED:
        return StreamPartDropped(f"the channel answered 202 {STREAM_PART_DROPPED}", trace=trace_of(headers))
    return None


def error_code(answer: bytes) -> str:
    """The ``error.code`` of the body; Teams nests the true one as JSON text in ``error.message``."""
    error, nested = _errors(answer)
    code = nested.get("subCode") or nested.get("code") or nested.get("errorCode") or error.get("code")
    if code == MESSAGE_WRITES_BLOCKED:
        code = "MessageWritesBlocked"
    return str(code or "")[:LONGEST_CODE]


def _why_stream_ended(status: int, code: str, answer: bytes) -> WhyEnded | None:
    """Why the stream takes nothing more, if that is what the answer says."""
    error, nested = _errors(answer)
    words = f"{error.get('message')} {nested.get('message')}".casefold()
    if status == 400 and STREAM_NOT_ENABLED in words:
        return "refused"
    if status != 403 or code != STREAM_NOT_ALLOWED:
        return None
    return next((why for said, why in WHY_ENDED if said in words), "refused")


def _errors(answer: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body's ``error``, and the one that is nested in its message; each empty where there is none."""
    error = json_object(answer).get("error")
    if not isinstance(error, dict):
        return {}, {}
    told = error.get("message")
    if isinstance(told, str) and told.startswith("{"):
        return error, json_object(told.encode())
    return error, {}


def json_object(text: bytes) -> dict[str, Any]:
    """The body as a JSON object; an empty one where it is none, as in a bare 202."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def retry_after(headers: Mapping[str, str]) -> timedelta:
    """The header Retry-After (RFC 9110, section 10.2.3): seconds, or a date."""
    given = headers.get("Retry-After", "")
    try:
        wait = timedelta(seconds=float(given))
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(given) - datetime.now(UTC)
        except (ValueError, TypeError, OverflowError):
            return DEFAULT_RETRY_AFTER
    return min(max(wait, timedelta(0)), LONGEST_RETRY_AFTER)


def trace_of(headers: Mapping[str, str]) -> str:
    """The channel's own ids of a request, for its support."""
    return "; ".join(f"{name}={headers[name][:128]}" for name in TRACES if name in headers)
