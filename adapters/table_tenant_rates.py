"""The TenantRates port on Azure Tables: a row a tenant, each change checked against the row's etag."""

from typing import Any

import msgspec

from adapters.storage_http import StorageError
from adapters.table_client import RowChanged, RowExists, RowMissing
from adapters.tables import Tables
from agent.pacing import TenantRate
from agent.ports import TenantRatesUnavailable

TENANT_RATES = "tenantrates"


class TableTenantRates:
    """``tenantrates``: partition = Entra tenant id; the columns are the fields of TenantRate.

    Rows are never dropped: there is one for each tenant that was ever sent into.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, rate: TenantRate) -> TenantRate | None:
        try:
            table = await self._tables.table(TENANT_RATES)
            etag = await table.insert(rate.tenant_id, _columns(rate))
        except RowExists:
            return None
        except StorageError as error:
            raise TenantRatesUnavailable(str(error)) from error
        return msgspec.structs.replace(rate, version=etag)

    async def read(self, tenant_id: str) -> TenantRate | None:
        try:
            table = await self._tables.table(TENANT_RATES)
            row = await table.get(tenant_id)
        except StorageError as error:
            raise TenantRatesUnavailable(str(error)) from error
        if row is None:
            return None
        return TenantRate(
            tenant_id=tenant_id,
            next_slot_at=row.columns["nextSlotAt"],
            rate=row.columns["rate"],
            lowered_at=row.columns["loweredAt"],
            version=row.etag,
        )

    async def replace(self, rate: TenantRate) -> TenantRate | None:
        try:
            table = await self._tables.table(TENANT_RATES)
            etag = await table.replace(rate.tenant_id, _columns(rate), etag=rate.version)
        except (RowChanged, RowMissing):
            return None
        except StorageError as error:
            raise TenantRatesUnavailable(str(error)) from error
        return msgspec.structs.replace(rate, version=etag)


def _columns(rate: TenantRate) -> dict[str, Any]:
    return {"nextSlotAt": rate.next_slot_at, "rate": rate.rate, "loweredAt": rate.lowered_at}
