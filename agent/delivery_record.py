"""The record of one delivery: a message that goes out unasked, from its first attempt to its end."""

from datetime import datetime
from typing import Literal

import msgspec

DeliveryState = Literal["sending", "retrying", "sent", "gone", "expired", "failed"]
ENDED: frozenset[DeliveryState] = frozenset({"sent", "gone", "expired", "failed"})


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one delivery so far.

    ``reason``: why the last attempt did not end in sent; no user text.
    ``body``: the queue message as it came, where it could not be delivered, so that nothing is lost.
    ``version``: the store's own mark of the row's state.
    """

    delivery_id: str
    state: DeliveryState
    updated_at: datetime
    attempts: int = 0
    reason: str = ""
    activity_id: str | None = None
    body: bytes = b""
    version: str = ""
