"""The activities of a streamed message, as Teams takes them.

Teams documentation, "Stream bot messages": updates are of the type ``typing`` and numbered from 1; the
final is a message, has no number, and begins with the text that was streamed before it.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

# Teams takes one request a second, measured where they arrive. Here it is measured from the answer to the one
# before; some of it is for a request that is quicker on its way than that one was.
PACE = timedelta(seconds=1.2)
LONGEST_INFORMATIVE = 1000  # characters; Teams takes 1 KB


class OpenStream(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stream that takes its final. ``text``: the answer's text that was streamed, with which it begins."""

    stream_id: str
    text: str = ""
    shown_at: datetime | None = None

    def pause(self, now: datetime) -> timedelta:
        """How long until the stream takes its next request."""
        return max(self.shown_at + PACE - now, timedelta(0)) if self.shown_at else timedelta(0)


def informative(text: str, *, stream_id: str | None, sequence: int) -> dict[str, Any]:
    """What is done just now, shown until there is text. The first has no ``stream_id``: it gets one."""
    return _update("informative", text[:LONGEST_INFORMATIVE], stream_id=stream_id, sequence=sequence)


def streaming(text: str, *, stream_id: str | None, sequence: int) -> dict[str, Any]:
    """All of the answer's text so far."""
    return _update("streaming", text, stream_id=stream_id, sequence=sequence)


def final(outgoing: dict[str, Any], *, stream_id: str) -> dict[str, Any]:
    """The message that ends the stream, in its place."""
    info = {"type": "streaminfo", "streamId": stream_id, "streamType": "final"}
    return {**outgoing, "type": "message", "entities": [*outgoing.get("entities", ()), info]}


def _update(kind: str, text: str, *, stream_id: str | None, sequence: int) -> dict[str, Any]:
    info: dict[str, Any] = {"type": "streaminfo", "streamType": kind, "streamSequence": sequence}
    if stream_id:
        info["streamId"] = stream_id
    return {"type": "typing", "text": text, "entities": [info]}
