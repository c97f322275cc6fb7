"""The adapters under contract: each port in memory, and on the real thing."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.in_memory import (
    InMemoryApprovals,
    InMemoryConversationStore,
    InMemoryDeliveryLedger,
    InMemoryJobBoard,
    InMemoryJobReports,
    InMemoryOrderService,
    InMemoryTenantRates,
    InMemoryTurnClaims,
    SteppedClock,
)
from adapters.storage_account import account_of
from adapters.table_approvals import TableApprovals
from adapters.table_conversations import TableConversationStore
from adapters.table_delivery_ledger import TableDeliveryLedger
from adapters.table_job_reports import TableJobReports
from adapters.table_jobs import TableJobBoard
from adapters.table_orders import TableOrderService
from adapters.table_tenant_rates import TableTenantRates
from adapters.table_turn_claims import TableTurnClaims
from adapters.tables import Tables
from agent.ports import (
    Approvals,
    ConversationStore,
    DeliveryLedger,
    JobBoard,
    JobReports,
    OrderService,
    TenantRates,
    TurnClaims,
)
from local.azurite import Azurite


@pytest.fixture(scope="session")
async def tables(request: pytest.FixtureRequest) -> AsyncIterator[Tables]:
    azurite: Azurite = request.getfixturevalue("azurite")
    tables = Tables(account_of(azurite.connection_string))
    yield tables
    await tables.close()


@pytest.fixture(params=["in_memory", "azurite"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def conversations(where: str, request: pytest.FixtureRequest) -> ConversationStore:
    if where == "in_memory":
        return InMemoryConversationStore()
    return TableConversationStore(request.getfixturevalue("tables"))


@pytest.fixture
def claims(where: str, request: pytest.FixtureRequest) -> TurnClaims:
    return (
        InMemoryTurnClaims() if where == "in_memory" else TableTurnClaims(request.getfixturevalue("tables"))
    )


@pytest.fixture
def ledger(where: str, request: pytest.FixtureRequest) -> DeliveryLedger:
    if where == "in_memory":
        return InMemoryDeliveryLedger()
    return TableDeliveryLedger(request.getfixturevalue("tables"))


@pytest.fixture
def job_reports(where: str, request: pytest.FixtureRequest) -> JobReports:
    if where == "in_memory":
        return InMemoryJobReports()
    return TableJobReports(request.getfixturevalue("tables"))


@pytest.fixture
def job_board(where: str, request: pytest.FixtureRequest) -> JobBoard:
    return InMemoryJobBoard() if where == "in_memory" else TableJobBoard(request.getfixturevalue("tables"))


@pytest.fixture
def approvals(where: str, request: pytest.FixtureRequest) -> Approvals:
    return InMemoryApprovals() if where == "in_memory" else TableApprovals(request.getfixturevalue("tables"))


@pytest.fixture
def tenant_rates(where: str, request: pytest.FixtureRequest) -> TenantRates:
    if where == "in_memory":
        return InMemoryTenantRates()
    return TableTenantRates(request.getfixturevalue("tables"))


@pytest.fixture
def orders(where: str, clock: SteppedClock, request: pytest.FixtureRequest) -> OrderService:
    confirm_after, deliver_after = timedelta(seconds=10), timedelta(seconds=20)
    if where == "in_memory":
        return InMemoryOrderService(clock=clock, confirm_after=confirm_after, deliver_after=deliver_after)
    return TableOrderService(
        request.getfixturevalue("tables"),
        clock=clock,
        confirm_after=confirm_after,
        deliver_after=deliver_after,
    )
