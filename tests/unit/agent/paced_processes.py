"""Processes that keep to the limits, on a stepped loop: each PacedConnector stands for one."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any

from adapters.in_memory import InMemoryTenantRates, RecordingConnector
from agent.conversation import Place
from agent.paced_connector import PacedConnector
from agent.pacing import Limits, TenantRate
from agent.ports import ChannelBusy, Created, Sent, TenantRatesUnavailable
from tests.unit.agent.stepped_loop import LoopClock

NO_LIMIT: Limits = ()
A_SECOND = timedelta(seconds=1)


class Rates(InMemoryTenantRates):
    """Counts its operations, which take a while; fails while ``is_down``."""

    def __init__(self, *, takes: float = 0.01) -> None:
        super().__init__()
        self.takes = takes
        self.is_down = False
        self.operations = 0

    async def _begin(self) -> None:
        self.operations += 1
        await asyncio.sleep(self.takes)
        if self.is_down:
            raise TenantRatesUnavailable

    async def insert(self, rate: TenantRate) -> TenantRate | None:
        await self._begin()
        return await super().insert(rate)

    async def read(self, tenant_id: str) -> TenantRate | None:
        await self._begin()
        return await super().read(tenant_id)

    async def replace(self, rate: TenantRate) -> TenantRate | None:
        await self._begin()
        return await super().replace(rate)


class Channel(RecordingConnector):
    """Notes when requests arrive, and answers after a while."""

    def __init__(self, clock: LoopClock, *, takes: float = 0.05) -> None:
        super().__init__()
        self._clock = clock
        self._takes = takes
        self.arrived: list[datetime] = []
        self.at_work: dict[str, int] = {}

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        async with self._one(at.conversation_id):
            return await super().send(outgoing, at=at, reply_to_id=reply_to_id)

    async def create_conversation(
        self, parameters: dict[str, Any], *, service_url: str, tenant_id: str
    ) -> Created:
        self.arrived.append(self._clock.now())
        return await super().create_conversation(parameters, service_url=service_url, tenant_id=tenant_id)

    def _one(self, conversation_id: str) -> "_AtWork":
        self.arrived.append(self._clock.now())
        return _AtWork(self, conversation_id, self._takes)

    @property
    def most_in_a_second(self) -> int:
        return max(
            len([other for other in self.arrived if at <= other < at + A_SECOND]) for at in self.arrived
        )


class _AtWork:
    def __init__(self, channel: Channel, conversation_id: str, takes: float) -> None:
        self._at_work, self._conversation_id, self._takes = channel.at_work, conversation_id, takes

    async def __aenter__(self) -> None:
        assert not self._at_work.get(self._conversation_id), "two requests at once in one conversation"
        self._at_work[self._conversation_id] = 1
        try:
            await asyncio.sleep(self._takes)
        except asyncio.CancelledError:
            self._at_work[self._conversation_id] = 0
            raise

    async def __aexit__(self, *error: object) -> None:
        self._at_work[self._conversation_id] = 0


def place(conversation_id: str = "a", tenant_id: str | None = None) -> Place:
    return Place(service_url="https://smba.example/", conversation_id=conversation_id, tenant_id=tenant_id)


def paced(channel: Channel, *, limits: Limits = NO_LIMIT, rates: Rates | None = None) -> PacedConnector:
    return PacedConnector(
        channel,
        conversation_limits=limits,
        tenant_requests_per_second=30,
        tenant_rates=rates or Rates(),
        clock=LoopClock(),
    )


async def outcomes(*work: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*work, return_exceptions=True)


async def keep_sending(connector: PacedConnector, name: str, *, until: datetime, clock: LoopClock) -> None:
    number = 0
    while clock.now() < until:
        number += 1
        try:
            await connector.send({}, at=place(f"{name}-{number}", "tenant"))
        except ChannelBusy as busy:
            await asyncio.sleep(busy.retry_after.total_seconds())
