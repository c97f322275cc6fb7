"""One process that sends into one tenant as fast as it may, and prints what it did as one line of JSON."""

import asyncio
import json
import sys
import time
from typing import Any

from adapters.clouds import CLOUDS
from adapters.connector_client import BotConnectorClient
from adapters.credentials import NoCredentials
from adapters.service_hosts import ServiceHosts
from adapters.storage_account import account_of
from adapters.system_clock import SystemClock
from adapters.table_tenant_rates import TableTenantRates
from adapters.tables import Tables
from agent.conversation import Place
from agent.paced_connector import PacedConnector
from agent.pacing import TenantRate
from agent.ports import ChannelBusy, Sent

TENANT = "11111111-2222-4333-8444-555555555555"


class CountedRates:
    """The shared row, with a count of operations, and each move: what it was made from, and made to."""

    def __init__(self, rates: TableTenantRates) -> None:
        self._rates = rates
        self.operations = 0
        self.moves: list[tuple[str, float]] = []

    async def insert(self, rate: TenantRate) -> TenantRate | None:
        self.operations += 1
        return await self._rates.insert(rate)

    async def read(self, tenant_id: str) -> TenantRate | None:
        self.operations += 1
        return await self._rates.read(tenant_id)

    async def replace(self, rate: TenantRate) -> TenantRate | None:
        self.operations += 1
        written = await self._rates.replace(rate)
        if written:
            self.moves.append((rate.version, rate.next_slot_at.timestamp()))
        return written


class TimedConnector(BotConnectorClient):
    """Notes when each request was let through."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.let_through: list[float] = []

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        self.let_through.append(time.time())
        return await super().send(outgoing, at=at, reply_to_id=reply_to_id)


async def main(name: str, storage: str, service_url: str, senders: int, pause: float, seconds: float) -> None:
    tables = Tables(account_of(storage))
    rates = CountedRates(TableTenantRates(tables))
    connector = TimedConnector(
        NoCredentials(), hosts=ServiceHosts(cloud=CLOUDS["Public"], with_loopback=True)
    )
    paced = PacedConnector(
        connector,
        conversation_limits=((7, 1), (8, 2), (60, 30), (1800, 3600)),
        tenant_requests_per_second=30,
        tenant_rates=rates,
        clock=SystemClock(),
    )
    print("ready", flush=True)  # noqa: T201
    await asyncio.to_thread(sys.stdin.readline)
    until = time.time() + seconds
    busy = 0

    async def send_on(sender: int) -> None:
        nonlocal busy
        number = 0
        while time.time() < until:
            number += 1
            at = Place(
                service_url=service_url, conversation_id=f"a:{name}-{sender}-{number}", tenant_id=TENANT
            )
            try:
                await paced.send({"type": "message", "text": "hello"}, at=at)
            except ChannelBusy as error:
                busy += 1
                await asyncio.sleep(error.retry_after.total_seconds())
            await asyncio.sleep(pause)

    await asyncio.gather(*(send_on(sender) for sender in range(senders)))
    await connector.close()
    await tables.close()
    did = {
        "operations": rates.operations,
        "moves": rates.moves,
        "letThrough": connector.let_through,
        "busy": busy,
    }
    print(json.dumps(did), flush=True)  # noqa: T201


if __name__ == "__main__":
    name, storage, service_url, senders, pause, seconds = sys.argv[1:]
    asyncio.run(main(name, storage, service_url, int(senders), float(pause), float(seconds)))
