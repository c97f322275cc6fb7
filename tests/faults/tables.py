"""What the app's tables hold, read after a run."""

from adapters.storage_account import account_of
from adapters.table_delivery_ledger import DELIVERIES, record_of
from adapters.table_values import PARTITION_KEY, Row
from adapters.tables import Tables
from agent.delivery_record import DeliveryRecord
from local.azurite import Azurite


async def rows_of(name: str, azurite: Azurite) -> dict[str, Row]:
    """The rows of a table of which each partition has one, by partition."""
    return {row.columns[PARTITION_KEY]: row for row in await all_rows_of(name, azurite)}


async def all_rows_of(name: str, azurite: Azurite) -> list[Row]:
    tables = Tables(account_of(azurite.connection_string))
    try:
        table = await tables.table(name)
        return [row async for page in table.pages() for row in page]
    finally:
        await tables.close()


async def ledger(azurite: Azurite) -> dict[str, DeliveryRecord]:
    """The record of each delivery, by its id."""
    return {key: record_of(key, row) for key, row in (await rows_of(DELIVERIES, azurite)).items()}
