"""The record of one delivery: a message that goes out unasked, from its acceptance to its end."""

from datetime import datetime
from typing import Literal

import msgspec

DeliveryState = Literal["accepted", "sending", "busy", "ambiguous", "sent", "gone", "expired", "failed"]
FORGOTTEN: tuple[DeliveryState, ...] = ("sent", "gone", "expired")  # after a while; what failed is kept
ENDED: frozenset[DeliveryState] = frozenset({*FORGOTTEN, "failed"})
# Whether a send of which no answer tells whether it arrived is made again.
WhenAmbiguous = Literal["resend", "hold"]


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one delivery so far.

    ``accepted``: not sent yet, perhaps after attempts that failed. ``busy``: to be tried again at
    ``busy_until``. ``ambiguous``: it may have arrived; with a ``busy_until`` it is sent again then.
    ``ambiguities``: how many attempts ended without an answer that tells what became of the message.
    ``is_beside_stream``: the stream that it was to end did not take it, so it goes as a message of its own.
    ``parts_sent``: how many parts of a message that was split are known to have arrived.
    ``reason``: the error's class and words of the last attempt that did not end in sent; no user text;
    or that a turn tells it itself.
    ``trace``: the channel's own ids of that request, or of the one that sent it.
    ``body``: the message as JSON (or as it came, if it could not be read) where it could not be delivered,
    so that nothing is lost.
    A job that broke has a record of its own, by the job's id: ``failed``, ``reason`` says why, ``body`` is
    the job, and ``attempts`` how often it was run.
    ``version``: the store's own mark of the row's state.
    """

    delivery_id: str
    state: DeliveryState
    updated_at: datetime
    attempts: int = 0
    ambiguities: int = 0
    parts_sent: int = 0
    is_beside_stream: bool = False
    busy_until: datetime | None = None
    reason: str = ""
    activity_id: str | None = None
    conversation_id: str | None = None
    trace: str = ""
    body: bytes = b""
    version: str = ""

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED or (self.state == "ambiguous" and self.busy_until is None)

    @property
    def waits_until(self) -> datetime | None:
        """When it is to be tried again, if it is to be waited for."""
        return self.busy_until if self.state in ("busy", "ambiguous") else None
