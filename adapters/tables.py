"""The tables of the app's storage account, each made at its first use."""

import asyncio
from datetime import datetime

from azure.data.tables.aio import TableClient, TableServiceClient

DELETED_AT_ONCE = 50
ROW = "row"  # the row key of tables that have one row a partition


class Tables:
    """Hands out table clients. One object a process: they share its connections."""

    def __init__(self, storage_connection: str) -> None:
        self._service = TableServiceClient.from_connection_string(
            storage_connection, retry_total=3, retry_backoff_factor=0.2, connection_timeout=5, read_timeout=5
        )
        self._made: dict[str, TableClient] = {}

    async def table(self, table_name: str) -> TableClient:
        """The client of this table, which is made if it is missing. Raises azure.core's HttpResponseError."""
        if table_name not in self._made:
            self._made[table_name] = await self._service.create_table_if_not_exists(table_name)
        return self._made[table_name]

    async def close(self) -> None:
        await self._service.close()


async def delete_rows(table: TableClient, which: str, *, cutoff: datetime) -> int:
    """Delete the rows of a table with one row a partition that match the filter; how many there were."""
    found = table.query_entities(which, parameters={"cutoff": cutoff}, select=["PartitionKey"])
    deleted = 0
    async for page in found.by_page():
        keys = [row["PartitionKey"] async for row in page]
        for start in range(0, len(keys), DELETED_AT_ONCE):
            some = keys[start : start + DELETED_AT_ONCE]
            await asyncio.gather(*(table.delete_entity(key, ROW) for key in some))
        deleted += len(keys)
    return deleted
