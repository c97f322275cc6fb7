"""A storage queue message as the worker gets it, and the encodings of its text."""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from azure.functions.meta import Datum

_BLANKS = re.compile(r"[ \t\r\n]+")  # base64 may be wrapped


class UndecodableMessage(Exception):
    """The text is not what `messageEncoding` says."""


def decode_text(text: str | None, encoding: str) -> bytes:
    """Bytes of a message under `none` or `base64`; an empty one comes as None. Raises UndecodableMessage."""
    if encoding == "none":
        return (text or "").encode()
    try:
        return base64.b64decode(_BLANKS.sub("", text or ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UndecodableMessage("Message decoding has failed! Check MessageEncoding settings.") from error


def encode_text(content: bytes, encoding: str) -> str:
    """Text to store for a message; under `none`, what is not UTF-8 becomes U+FFFD."""
    return content.decode(errors="replace") if encoding == "none" else base64.b64encode(content).decode()


def message_datum(content: bytes, *, is_binary: bool) -> Datum:
    """Trigger value: bytes when the binding asks for them or the content is no text."""
    if not is_binary:
        try:
            return Datum(content.decode(), "string")
        except UnicodeDecodeError:
            pass
    return Datum(content, "bytes")


def queue_metadata(
    *,
    message_id: str = "",
    pop_receipt: str = "",
    dequeue_count: int = 1,
    inserted: datetime | None = None,
    expires: datetime | None = None,
    next_visible: datetime | None = None,
    content: bytes = b"",
) -> Mapping[str, Datum]:
    """Trigger metadata; text as string, everything else as JSON."""
    now = datetime.now(UTC)
    return {
        "QueueTrigger": Datum(content.decode(errors="replace"), "string"),
        "Id": Datum(message_id or str(uuid.uuid4()), "string"),
        "PopReceipt": Datum(pop_receipt, "string"),
        "DequeueCount": Datum(str(dequeue_count), "json"),
        "InsertionTime": _moment(inserted or now),
        "ExpirationTime": _moment(expires or now + timedelta(days=7)),
        "NextVisibleTime": _moment(next_visible or now),
    }


def _moment(moment: datetime) -> Datum:
    return Datum(json.dumps(moment.astimezone(UTC).replace(microsecond=0).isoformat()), "json")
