"""The DeliveryLedger port on Azure Tables: a row a delivery, each change checked against the row's etag."""

from datetime import datetime
from typing import Any

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from adapters.tables import ROW, Tables, delete_rows
from agent.delivery_record import FORGOTTEN, DeliveryRecord

DELIVERIES = "deliveries"


class TableDeliveryLedger:
    """``deliveries``: partition = delivery id; the columns are the fields of DeliveryRecord."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, record: DeliveryRecord) -> DeliveryRecord | None:
        table = await self._tables.table(DELIVERIES)
        try:
            written = await table.create_entity(_to_row(record))
        except ResourceExistsError:
            return None
        return msgspec.structs.replace(record, version=written["etag"])

    async def read(self, delivery_id: str) -> DeliveryRecord | None:
        table = await self._tables.table(DELIVERIES)
        try:
            row = await table.get_entity(delivery_id, ROW)
        except ResourceNotFoundError:
            return None
        return DeliveryRecord(
            delivery_id=delivery_id,
            state=row["state"],
            updated_at=row["updatedAt"],
            attempts=row["attempts"],
            ambiguities=row.get("ambiguities", 0),
            parts_sent=row.get("partsSent", 0),
            busy_until=row.get("busyUntil"),
            reason=row["reason"],
            activity_id=row.get("activityId"),
            conversation_id=row.get("conversationId"),
            trace=row.get("trace", ""),
            body=row.get("body", b""),
            version=row.metadata["etag"] or "",
        )

    async def replace(self, record: DeliveryRecord) -> DeliveryRecord | None:
        table = await self._tables.table(DELIVERIES)
        try:
            written = await table.update_entity(
                _to_row(record),
                mode=UpdateMode.REPLACE,
                etag=record.version,
                match_condition=MatchConditions.IfNotModified,
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            return None
        return msgspec.structs.replace(record, version=written["etag"])

    async def forget_before(self, cutoff: datetime) -> int:
        table = await self._tables.table(DELIVERIES)
        forgotten = " or ".join(f"state eq '{state}'" for state in FORGOTTEN)
        return await delete_rows(table, f"updatedAt lt @cutoff and ({forgotten})", cutoff=cutoff)


def _to_row(record: DeliveryRecord) -> dict[str, Any]:
    row = {
        "PartitionKey": record.delivery_id,
        "RowKey": ROW,
        "state": record.state,
        "updatedAt": record.updated_at,
        "attempts": record.attempts,
        "ambiguities": record.ambiguities or None,
        "partsSent": record.parts_sent or None,
        "busyUntil": record.busy_until,
        "reason": record.reason,
        "activityId": record.activity_id,
        "conversationId": record.conversation_id,
        "trace": record.trace or None,
        "body": record.body or None,
    }
    return {name: value for name, value in row.items() if value is not None}
