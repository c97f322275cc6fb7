"""The OrderService port as a small order service that keeps its orders in Azure Tables.

It stands for the outside system of the example job: an order is placed ``confirm_after`` it was taken,
and delivered ``deliver_after`` that. Replace it by a client of your own system.
"""

from datetime import datetime, timedelta
from typing import Any

from adapters.table_client import RowChanged, RowExists, RowMissing, TableClient
from adapters.table_values import PARTITION_KEY, literal
from adapters.tables import Tables
from agent.conversation import Conversation
from agent.order import Order, OrderStatus
from agent.ports import Clock

ORDERS = "orders"
LAST_NUMBER = "last-number"
FIRST_NUMBER = 1292
CANCELLED_AT = "cancelledAt"  # a column of cancelled orders alone


class TableOrderService:
    """``orders``: partition = order id, and one row that counts the order numbers."""

    def __init__(
        self, tables: Tables, *, clock: Clock, confirm_after: timedelta, deliver_after: timedelta
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._confirm_after = confirm_after
        self._deliver_after = deliver_after

    async def place(self, order_id: str, *, item: str, customer: Conversation) -> Order:
        table = await self._tables.table(ORDERS)
        try:
            return await self.get(order_id)
        except KeyError:
            pass
        now = self._clock.now()
        placed_at = now + self._confirm_after
        columns = {
            "number": await self._next_number(table),
            "item": item,
            "placedAt": placed_at,
            "deliveredAt": placed_at + self._deliver_after,
            "channelId": customer.channel_id,
            "conversationId": customer.conversation_id,
            "tenantId": customer.tenant_id or "",
            "aadObjectId": customer.aad_object_id or "",
        }
        try:
            await table.insert(order_id, columns)
        except RowExists:  # placed by another delivery of the same job meanwhile
            return await self.get(order_id)
        return _to_order(order_id, columns, now=now)

    async def get(self, order_id: str) -> Order:
        table = await self._tables.table(ORDERS)
        row = await table.get(order_id)
        if row is None:
            raise KeyError(order_id)
        return _to_order(order_id, row.columns, now=self._clock.now())

    async def open_or_delivered_since(self, cutoff: datetime) -> list[Order]:
        table = await self._tables.table(ORDERS)
        pages = table.pages(f"deliveredAt gt {literal(cutoff)}")
        now = self._clock.now()
        return [
            _to_order(row.columns[PARTITION_KEY], row.columns, now=now)
            async for page in pages
            for row in page
            if CANCELLED_AT not in row.columns
        ]

    async def cancel(self, order_id: str) -> Order:
        table = await self._tables.table(ORDERS)
        while True:
            row = await table.get(order_id)
            if row is None:
                raise KeyError(order_id)
            now = self._clock.now()
            order = _to_order(order_id, row.columns, now=now)
            if order.status in ("delivered", "cancelled"):
                return order
            cancelled = {CANCELLED_AT: now}
            try:
                await table.merge(order_id, cancelled, etag=row.etag)
            except RowChanged:  # delivered, or cancelled by another, meanwhile
                continue
            return _to_order(order_id, row.columns | cancelled, now=now)

    async def mark_delivered(self, order_id: str) -> None:
        table = await self._tables.table(ORDERS)
        now = self._clock.now()
        try:
            await table.merge(order_id, {"placedAt": now, "deliveredAt": now})
        except RowMissing as error:
            raise KeyError(order_id) from error

    async def _next_number(self, table: TableClient) -> int:
        """The next order number; no two orders get the same, a crash may leave one out."""
        while True:
            counter = await table.get(LAST_NUMBER)
            number: int = counter.columns["number"] + 1 if counter else FIRST_NUMBER
            try:
                if counter:
                    await table.replace(LAST_NUMBER, {"number": number}, etag=counter.etag)
                else:
                    await table.insert(LAST_NUMBER, {"number": number})
            except (RowChanged, RowExists):
                continue
            return number


def _to_order(order_id: str, columns: dict[str, Any], *, now: datetime) -> Order:
    placed_at: datetime = columns["placedAt"]
    delivered_at: datetime = columns["deliveredAt"]
    next_change_at = placed_at if now < placed_at else delivered_at
    status: OrderStatus = "delivered" if now >= delivered_at else "placed" if now >= placed_at else "accepted"
    if CANCELLED_AT in columns:
        status, next_change_at = "cancelled", now
    return Order(
        order_id=order_id,
        number=columns["number"],
        item=columns["item"],
        status=status,
        next_change_in=max(next_change_at - now, timedelta(0)),
        delivered_at=delivered_at,
        channel_id=columns["channelId"],
        conversation_id=columns["conversationId"],
        tenant_id=columns["tenantId"] or None,
        aad_object_id=columns["aadObjectId"] or None,
    )
