"""The tables of the app's storage account, each made at its first use."""

import asyncio

from adapters.storage_account import StorageAccount
from adapters.storage_http import StorageHttp
from adapters.table_client import TableClient
from adapters.table_values import PARTITION_KEY, ROW_KEY

DELETED_AT_ONCE = 50


class Tables:
    """Hands out table clients. One object a process: they share its connections."""

    def __init__(self, account: StorageAccount) -> None:
        self._http = StorageHttp(account)
        self._made: dict[str, TableClient] = {}

    async def table(self, table_name: str) -> TableClient:
        """The client of this table, which is made if it is missing. Raises StorageError."""
        if table_name not in self._made:
            table = TableClient(self._http, table_name)
            await table.make()
            self._made[table_name] = table
        return self._made[table_name]

    async def close(self) -> None:
        await self._http.close()


async def delete_rows(table: TableClient, which: str) -> int:
    """Delete the rows that match the filter; how many there were."""
    deleted = 0
    async for page in table.pages(which, select=[PARTITION_KEY, ROW_KEY]):
        keys = [(row.columns[PARTITION_KEY], row.columns[ROW_KEY]) for row in page]
        for start in range(0, len(keys), DELETED_AT_ONCE):
            at_once = keys[start : start + DELETED_AT_ONCE]
            await asyncio.gather(*(table.delete(partition, row_key=row) for partition, row in at_once))
        deleted += len(keys)
    return deleted
