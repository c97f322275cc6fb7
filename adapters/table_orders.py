"""The OrderService port as a small order service that keeps its orders in Azure Tables.

It stands for the outside system of the example job: an order is placed ``confirm_after`` it was taken,
and delivered ``deliver_after`` that. Replace it by a client of your own system.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient

from adapters.tables import ROW, Tables
from agent.conversation import Conversation
from agent.order import Order
from agent.ports import Clock

ORDERS = "orders"
LAST_NUMBER = "last-number"
FIRST_NUMBER = 1292


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
        row = {
            "PartitionKey": order_id,
            "RowKey": ROW,
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
            await table.create_entity(row)
        except ResourceExistsError:  # placed by another delivery of the same job meanwhile
            return await self.get(order_id)
        return _to_order(row, now=now)

    async def get(self, order_id: str) -> Order:
        table = await self._tables.table(ORDERS)
        try:
            row = await table.get_entity(order_id, ROW)
        except ResourceNotFoundError as error:
            raise KeyError(order_id) from error
        return _to_order(row, now=self._clock.now())

    async def open_or_delivered_since(self, cutoff: datetime) -> list[Order]:
        table = await self._tables.table(ORDERS)
        rows = table.query_entities("deliveredAt gt @cutoff", parameters={"cutoff": cutoff})
        now = self._clock.now()
        return [_to_order(row, now=now) async for row in rows]

    async def mark_delivered(self, order_id: str) -> None:
        table = await self._tables.table(ORDERS)
        now = self._clock.now()
        row = {"PartitionKey": order_id, "RowKey": ROW, "placedAt": now, "deliveredAt": now}
        try:
            await table.update_entity(row, mode=UpdateMode.MERGE)
        except ResourceNotFoundError as error:
            raise KeyError(order_id) from error

    async def _next_number(self, table: TableClient) -> int:
        """The next order number; no two orders get the same, a crash may leave one out."""
        while True:
            try:
                counter = await table.get_entity(LAST_NUMBER, ROW)
            except ResourceNotFoundError:
                try:
                    await table.create_entity(_counter(FIRST_NUMBER))
                except ResourceExistsError:
                    continue
                return FIRST_NUMBER
            number: int = counter["number"] + 1
            try:
                await table.update_entity(
                    _counter(number),
                    mode=UpdateMode.REPLACE,
                    etag=counter.metadata["etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
            except ResourceModifiedError:
                continue
            return number


def _counter(number: int) -> dict[str, Any]:
    return {"PartitionKey": LAST_NUMBER, "RowKey": ROW, "number": number}


def _to_order(row: Any, *, now: datetime) -> Order:
    placed_at: datetime = row["placedAt"].astimezone(UTC)
    delivered_at: datetime = row["deliveredAt"].astimezone(UTC)
    next_change_at = placed_at if now < placed_at else delivered_at
    return Order(
        order_id=row["PartitionKey"],
        number=row["number"],
        item=row["item"],
        status="delivered" if now >= delivered_at else "placed" if now >= placed_at else "accepted",
        next_change_in=max(next_change_at - now, timedelta(0)),
        delivered_at=delivered_at,
        channel_id=row["channelId"],
        conversation_id=row["conversationId"],
        tenant_id=row["tenantId"] or None,
        aad_object_id=row["aadObjectId"] or None,
    )
