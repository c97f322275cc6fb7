"""The run: messages come by the queue, the connector fails, devhost is killed with -9 and started again."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec
from azure.storage.queue.aio import QueueClient

from adapters.storage_queue import QUEUE_API_VERSION
from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.proactive_message import ProactiveMessage, ToUser
from local.azurite import Azurite
from testconnector.options import Options
from testconnector.server import running
from tests.faults.killable_host import KillableHost
from tests.faults.rules import every_fault
from tests.faults.tables import ledger

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


async def run(plan: Plan, *, azurite: Azurite, place: Path) -> Outcome:
    """Put the messages, kill the host, and wait for the end of all. Raises StackError."""
    dice = random.Random(plan.seed)  # noqa: S311 - chance, not secrecy
    started = time.monotonic()
    rules = every_fault(chance=plan.chance, seed=plan.seed)
    async with running(Options(faults=rules, most_calls=plan.deliveries * 10)) as connector:
        host = KillableHost(
            azurite,
            connector,
            logs=place,
            data=place / "devhost",
            settings={"AmbiguousSends": plan.when_ambiguous, "TenantRequestsPerSecond": "50"},
        )
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
            unread=await unread(azurite),
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
        records = await ledger(azurite)
        ended = sum(record.has_ended for record in records.values())
        is_over = ended >= plan.deliveries and not await unread(azurite)
        if is_over or time.monotonic() > deadline:
            return records
        await asyncio.sleep(1)


async def unread(azurite: Azurite) -> int:
    """How many messages are left on the queue and its poison queue."""
    left = 0
    for name in (QUEUE, f"{QUEUE}-poison"):
        async with QueueClient.from_connection_string(
            azurite.connection_string, name, api_version=QUEUE_API_VERSION
        ) as queue:
            left += (await queue.get_queue_properties()).approximate_message_count or 0
    return left
