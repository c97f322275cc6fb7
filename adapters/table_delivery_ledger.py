"""The DeliveryLedger port on Azure Tables: a row a delivery, each change checked against the row's etag."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.table_client import RowChanged, RowExists, RowMissing
from adapters.table_values import Row, literal
from adapters.tables import Tables, delete_rows
from agent.delivery_record import FORGOTTEN, DeliveryRecord

DELIVERIES = "deliveries"


class TableDeliveryLedger:
    """``deliveries``: partition = delivery id; the columns are the fields of DeliveryRecord."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, record: DeliveryRecord) -> DeliveryRecord | None:
        table = await self._tables.table(DELIVERIES)
        try:
            etag = await table.insert(record.delivery_id, _columns(record))
        except RowExists:
            return None
        return msgspec.structs.replace(record, version=etag)

    async def read(self, delivery_id: str) -> DeliveryRecord | None:
        table = await self._tables.table(DELIVERIES)
        row = await table.get(delivery_id)
        return record_of(delivery_id, row) if row else None

    async def replace(self, record: DeliveryRecord) -> DeliveryRecord | None:
        table = await self._tables.table(DELIVERIES)
        try:
            etag = await table.replace(record.delivery_id, _columns(record), etag=record.version)
        except (RowChanged, RowMissing):
            return None
        return msgspec.structs.replace(record, version=etag)

    async def forget_before(self, cutoff: datetime) -> int:
        table = await self._tables.table(DELIVERIES)
        forgotten = " or ".join(f"state eq {literal(state)}" for state in FORGOTTEN)
        return await delete_rows(table, f"updatedAt lt {literal(cutoff)} and ({forgotten})")


def record_of(delivery_id: str, row: Row) -> DeliveryRecord:
    """The record that a row of the table holds."""
    columns = row.columns
    return DeliveryRecord(
        delivery_id=delivery_id,
        state=columns["state"],
        updated_at=columns["updatedAt"],
        attempts=columns["attempts"],
        ambiguities=columns.get("ambiguities", 0),
        parts_sent=columns.get("partsSent", 0),
        is_beside_stream=columns.get("isBesideStream", False),
        busy_until=columns.get("busyUntil"),
        reason=columns["reason"],
        activity_id=columns.get("activityId"),
        conversation_id=columns.get("conversationId"),
        trace=columns.get("trace", ""),
        body=columns.get("body", b""),
        version=row.etag,
    )


def _columns(record: DeliveryRecord) -> dict[str, Any]:
    return {
        "state": record.state,
        "updatedAt": record.updated_at,
        "attempts": record.attempts,
        "ambiguities": record.ambiguities or None,
        "partsSent": record.parts_sent or None,
        "isBesideStream": record.is_beside_stream or None,
        "busyUntil": record.busy_until,
        "reason": record.reason,
        "activityId": record.activity_id,
        "conversationId": record.conversation_id,
        "trace": record.trace or None,
        "body": record.body or None,
    }
