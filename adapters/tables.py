"""The tables of the app's storage account, each made at its first use."""

from azure.data.tables.aio import TableClient, TableServiceClient

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
