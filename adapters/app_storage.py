"""The Storage port: the queues and tables that the app itself must make."""

from azure.core.exceptions import ResourceExistsError
from azure.storage.queue.aio import QueueServiceClient

from adapters.storage_queue import QUEUE_API_VERSION
from adapters.table_conversations import CONVERSATIONS, PERSONAL_CONVERSATIONS
from adapters.table_delivery_ledger import DELIVERIES
from adapters.table_orders import ORDERS
from adapters.table_tenant_rates import TENANT_RATES
from adapters.table_turn_claims import TURN_CLAIMS
from adapters.tables import Tables

TABLES = (CONVERSATIONS, PERSONAL_CONVERSATIONS, TURN_CLAIMS, DELIVERIES, TENANT_RATES, ORDERS)


class AppStorage:
    """Queues and tables in the storage account of ``AzureWebJobsStorage``."""

    def __init__(self, tables: Tables, *, storage_connection: str, queue_names: tuple[str, ...]) -> None:
        self._tables = tables
        self._storage_connection = storage_connection
        self._queue_names = queue_names

    async def make_missing(self) -> None:
        for table_name in (
            CONVERSATIONS,
            PERSONAL_CONVERSATIONS,
            TURN_CLAIMS,
            DELIVERIES,
            TENANT_RATES,
            ORDERS,
        ):
            await self._tables.table(table_name)
        queues = QueueServiceClient.from_connection_string(
            self._storage_connection, api_version=QUEUE_API_VERSION
        )
        async with queues:
            for queue_name in self._queue_names:
                try:
                    await queues.create_queue(queue_name)
                except ResourceExistsError:
                    continue
