"""The record of one delivery: a message that goes out unasked, from its first attempt to its end."""

from datetime import datetime
from typing import Literal

import msgspec

DeliveryState = Literal["sending", "retrying", "waiting", "sent", "gone", "expired", "failed"]
ENDED: frozenset[DeliveryState] = frozenset({"sent", "gone", "expired", "failed"})
FORGOTTEN: tuple[DeliveryState, ...] = ("sent", "gone", "expired")  # after a while; what failed is kept


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one delivery so far.

    ``waiting``: the channel is busy; the message is back on its queue, to be shown later.
    ``ambiguities``: how many attempts ended without an answer that tells what became of the message.
    ``reason``: why the last attempt did not end in sent; no user text.
    ``body``: the message as JSON (or as it came, if it could not be read) where it could not be delivered,
    so that nothing is lost.
    ``version``: the store's own mark of the row's state.
    """

    delivery_id: str
    state: DeliveryState
    updated_at: datetime
    attempts: int = 0
    ambiguities: int = 0
    reason: str = ""
    activity_id: str | None = None
    body: bytes = b""
    version: str = ""
