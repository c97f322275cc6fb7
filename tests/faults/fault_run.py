"""The run: messages come by the queue, the connector fails, devhost is killed with -9 and started again."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
from azure.storage.queue.aio import QueueClient

from adapters.storage_account import account_of
from adapters.storage_queue import QUEUE_API_VERSION
from adapters.table_delivery_ledger import DELIVERIES, record_of
from adapters.table_values import PARTITION_KEY
from adapters.tables import Tables
from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.proactive_message import ProactiveMessage, ToUser
from local.azurite import Azurite
from local.functions_host import start_functions_host, wait_for_functions_host
from local.ports import Ports
from local.processes import ChildProcess
from local.settings_file import EXAMPLE_FILE, values_of
from testconnector.options import Options
from testconnector.server import ScriptedConnector, running
from tests.faults.rules import every_fault

ROOT = Path(__file__).parent.parent.parent
QUEUE = "proactive-messages"
USERS, TENANTS = 500, 40
PUT_AT_ONCE = 32
DRAIN_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``deliveries`` messages are put on the queue while the host is killed ``kills`` times.

    ``chance``: of a fault, for each request.
    """

    deliveries: int
    kills: int
    seed: int
    when_ambiguous: WhenAmbiguous
    chance: float = 0.3


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the ledger says and what arrived, by delivery id; ``unread``: messages left on the queues."""

    delivery_ids: list[str]
    records: dict[str, DeliveryRecord]
    arrivals: Counter[str]
    unread: int
    kills: int
    seconds: float
    statuses: dict[str, int]


class Host:
    """devhost with the app, killed and started again at the same place."""

    def __init__(self, azurite: Azurite, connector: ScriptedConnector, *, place: Path, plan: Plan) -> None:
        self._place = place
        self._ports = Ports.free()
        self._settings = {
            **values_of(EXAMPLE_FILE),
            "AzureWebJobsStorage": azurite.connection_string,
            "ProactiveServiceUrl": connector.url,
            "AmbiguousSends": plan.when_ambiguous,
            "TenantRequestsPerSecond": "50",
            # A killed message counts as an attempt: here the kills are not what ends it.
            "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "1000",
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:02",
            "DEVHOST_QUEUE_LEASE": "00:00:03",
        }
        self._process: ChildProcess | None = None

    def start(self) -> None:
        self._process = start_functions_host(
            self._ports,
            script_root=ROOT,
            data=self._place / "devhost",
            logs=self._place,
            settings=self._settings,
        )
        wait_for_functions_host(self._process, self._ports)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


async def run(plan: Plan, *, azurite: Azurite, place: Path) -> Outcome:
    """Put the messages, kill the host, and wait for the end of all. Raises StackError."""
    dice = random.Random(plan.seed)  # noqa: S311 - chance, not secrecy
    started = time.monotonic()
    rules = every_fault(chance=plan.chance, seed=plan.seed)
    async with running(Options(faults=rules, most_calls=plan.deliveries * 10)) as connector:
        host = Host(azurite, connector, place=place, plan=plan)
        try:
            await _make_queue(azurite)
            await asyncio.to_thread(host.start)
            for some in _shares(_messages(plan), max(plan.kills, 1)):
                await _put(some, azurite)
                if plan.kills:
                    await asyncio.sleep(dice.uniform(0.1, 1.5))
                    await asyncio.to_thread(host.kill)
                    await asyncio.to_thread(host.start)
            connector.faults.clear()  # else what waits longer each time might go on without end
            records = await _once_ended(plan, azurite)
        finally:
            await asyncio.to_thread(host.stop)
        return Outcome(
            delivery_ids=[message.delivery_id for message in _messages(plan)],
            records=records,
            arrivals=Counter(connector.texts),
            unread=await _unread(azurite),
            kills=plan.kills,
            seconds=time.monotonic() - started,
            statuses=dict(connector.recording.statuses),
        )


def _messages(plan: Plan) -> list[ProactiveMessage]:
    """Their texts are their delivery ids, by which their arrivals are counted."""
    return [
        ProactiveMessage(
            delivery_id=f"fault-{number}",
            to=ToUser(tenant_id=f"tenant-{number % TENANTS}", aad_object_id=f"user-{number % USERS}"),
            text=f"fault-{number}",
        )
        for number in range(plan.deliveries)
    ]


def _shares(messages: list[ProactiveMessage], count: int) -> list[list[ProactiveMessage]]:
    return [messages[number::count] for number in range(count)]


async def _make_queue(azurite: Azurite) -> None:
    """Make the queue that the app makes at its start-up: the first message may be earlier."""
    async with QueueClient.from_connection_string(
        azurite.connection_string, QUEUE, api_version=QUEUE_API_VERSION
    ) as queue:
        await queue.create_queue()


async def _put(messages: list[ProactiveMessage], azurite: Azurite) -> None:
    async with QueueClient.from_connection_string(
        azurite.connection_string, QUEUE, api_version=QUEUE_API_VERSION
    ) as queue:
        for start in range(0, len(messages), PUT_AT_ONCE):
            some = messages[start : start + PUT_AT_ONCE]
            await asyncio.gather(*(queue.send_message(msgspec.json.encode(one).decode()) for one in some))


async def _once_ended(plan: Plan, azurite: Azurite) -> dict[str, DeliveryRecord]:
    """The ledger, as soon as all have ended and no queue shows them any more, or when time is up."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        records = await _ledger(azurite)
        ended = sum(record.has_ended for record in records.values())
        is_over = ended >= plan.deliveries and not await _unread(azurite)
        if is_over or time.monotonic() > deadline:
            return records
        await asyncio.sleep(1)


async def _ledger(azurite: Azurite) -> dict[str, DeliveryRecord]:
    tables = Tables(account_of(azurite.connection_string))
    try:
        table = await tables.table(DELIVERIES)
        rows = [row async for page in table.pages() for row in page]
    finally:
        await tables.close()
    keys = [row.columns[PARTITION_KEY] for row in rows]
    return {key: record_of(key, row) for key, row in zip(keys, rows, strict=True)}


async def _unread(azurite: Azurite) -> int:
    """How many messages are left on the queue and its poison queue."""
    left = 0
    for name in (QUEUE, f"{QUEUE}-poison"):
        async with QueueClient.from_connection_string(
            azurite.connection_string, name, api_version=QUEUE_API_VERSION
        ) as queue:
            left += (await queue.get_queue_properties()).approximate_message_count or 0
    return left
