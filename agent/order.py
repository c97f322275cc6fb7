"""An order of the example's order service."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

OrderStatus = Literal["accepted", "placed", "delivered", "cancelled"]


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as it is now. ``next_change_in``: how long until its status is expected to move."""

    order_id: str
    number: int
    item: str
    status: OrderStatus
    next_change_in: timedelta
    delivered_at: datetime
    channel_id: str
    conversation_id: str
    tenant_id: str | None = None
    aad_object_id: str | None = None
