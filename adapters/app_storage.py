"""The Storage port: the queues and tables that the app itself must make."""

from contextlib import suppress

from azure.core.exceptions import ResourceExistsError

from adapters.storage_account import StorageAccount
from adapters.storage_queue import queue_service, storage_errors
from adapters.table_approvals import APPROVALS
from adapters.table_conversations import CONVERSATIONS, PERSONAL_CONVERSATIONS
from adapters.table_delivery_ledger import DELIVERIES
from adapters.table_job_reports import JOB_REPORTS
from adapters.table_jobs import JOBS
from adapters.table_orders import ORDERS
from adapters.table_tenant_rates import TENANT_RATES
from adapters.table_turn_claims import TURN_CLAIMS
from adapters.tables import Tables

TABLES = (
    CONVERSATIONS,
    PERSONAL_CONVERSATIONS,
    TURN_CLAIMS,
    DELIVERIES,
    JOBS,
    APPROVALS,
    JOB_REPORTS,
    TENANT_RATES,
    ORDERS,
)


class AppStorage:
    """Queues and tables in the storage account of ``AzureWebJobsStorage``."""

    def __init__(self, tables: Tables, *, account: StorageAccount, queue_names: tuple[str, ...]) -> None:
        self._tables = tables
        self._account = account
        self._queue_names = queue_names

    async def make_missing(self) -> None:
        for table_name in TABLES:
            await self._tables.table(table_name)
        async with queue_service(self._account) as queues:
            for queue_name in self._queue_names:
                with storage_errors(), suppress(ResourceExistsError):
                    await queues.create_queue(queue_name)
