"""What all instances share about a tenant: one suite, run in memory and on Azure Tables (Azurite)."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from adapters.storage_account import account_of
from adapters.table_tenant_rates import TableTenantRates
from adapters.tables import Tables
from agent.pacing import TenantRate
from agent.ports import TenantRates, TenantRatesUnavailable
from local.azurite import connection_string
from local.ports import Ports

NOON = datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def a_rate(**fields: object) -> TenantRate:
    rate = TenantRate(
        tenant_id=uuid4().hex, next_slot_at=NOON, rate=14.7, lowered_at=NOON - timedelta(seconds=9)
    )
    return msgspec.structs.replace(rate, **fields)


async def test_a_row_is_read_as_it_was_written(tenant_rates: TenantRates) -> None:
    written = await tenant_rates.insert(a_rate())
    assert written
    assert await tenant_rates.read(written.tenant_id) == written
    moved = msgspec.structs.replace(written, next_slot_at=NOON + timedelta(microseconds=1), rate=30.0)
    replaced = await tenant_rates.replace(moved)
    assert replaced
    assert await tenant_rates.read(written.tenant_id) == replaced
    assert replaced.version != written.version


async def test_an_unknown_tenant_has_no_row(tenant_rates: TenantRates) -> None:
    assert await tenant_rates.read(uuid4().hex) is None
    assert await tenant_rates.replace(a_rate(version='W/"x"')) is None


async def test_of_many_at_once_one_writes_the_first_row(tenant_rates: TenantRates) -> None:
    rate = a_rate()
    written = await asyncio.gather(*(tenant_rates.insert(rate) for _ in range(8)))
    assert len([row for row in written if row]) == 1


async def test_of_many_at_once_one_replaces_the_row(tenant_rates: TenantRates) -> None:
    written = await tenant_rates.insert(a_rate())
    assert written
    moved = msgspec.structs.replace(written, rate=1.0)
    replaced = await asyncio.gather(*(tenant_rates.replace(moved) for _ in range(8)))
    (won,) = (row for row in replaced if row)
    assert await tenant_rates.read(written.tenant_id) == won


async def test_a_storage_that_is_not_there_is_told_as_such() -> None:
    tables = Tables(account_of(connection_string(Ports.free())))
    rates = TableTenantRates(tables)
    with pytest.raises(TenantRatesUnavailable):
        await rates.read("t")
    with pytest.raises(TenantRatesUnavailable):
        await rates.insert(a_rate())
    with pytest.raises(TenantRatesUnavailable):
        await rates.replace(a_rate(version="x"))
    await tables.close()
