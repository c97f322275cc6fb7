"""The run: instances are kept in flight while their host is killed, then all of them are waited for."""

import asyncio
import json
import random
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import TextBase64EncodePolicy
from azure.storage.queue.aio import QueueClient

from adapters.storage_queue import QUEUE_API_VERSION
from local.azurite import Azurite
from tests.crash.client import Client
from tests.crash.evidence import Evidence, Found
from tests.crash.hosts import Host
from tests.crash.hub_inspection import integrity_of, orphans_of, parents_of
from tests.crash.plan import Plan, PlannedEvent, PlannedInstance, planned

QUEUE = "orders"
LOOK_SECONDS = 0.5
REQUEST_SECONDS = 10.0


class CrashRun:
    """One run on one Azurite, in one directory."""

    def __init__(self, plan: Plan, azurite: Azurite, place: Path, session: aiohttp.ClientSession) -> None:
        dice = random.Random(plan.seed)  # noqa: S311 (chance, not secrecy)
        (place / "spare").mkdir(parents=True, exist_ok=True)
        self._plan, self._azurite = plan, azurite
        self._host = Host(place, session, azurite.connection_string, dice)
        self._client = Client(session, lambda: self._host.base)
        self._started: list[PlannedInstance] = []
        self._is_over = False

    async def play(self) -> Evidence:
        """Kill as often as planned while instances are in flight; then let all end, and look at all."""
        async with self._queue(QUEUE) as orders:
            with suppress(ResourceExistsError):
                await orders.create_queue()
            try:
                async with asyncio.TaskGroup() as group:
                    for slot in range(self._plan.instances):
                        group.create_task(self._keep_one_in_flight(slot, orders))
                    group.create_task(self._kill())
                return await self._look()
            finally:
                self._host.stop()

    def _queue(self, name: str) -> QueueClient:
        return QueueClient.from_connection_string(
            self._azurite.connection_string,
            name,
            api_version=QUEUE_API_VERSION,
            message_encode_policy=TextBase64EncodePolicy(),
        )

    async def _kill(self) -> None:
        kills = self._host.kills
        most = self._plan.kills * 2 + 10  # were none to hit, the run would have no end
        while sum(kill.hit_work for kill in kills) < self._plan.kills and len(kills) < most:
            await self._host.live_and_die()
        self._is_over = True
        self._host.start()
        await self._host.until_up()

    async def _keep_one_in_flight(self, slot: int, orders: QueueClient) -> None:
        """Start one instance after the other, as each has ended, until the last kill."""
        number = slot
        while number == slot or not self._is_over:
            one = planned(number, self._plan)
            self._started.append(one)
            await self._play_one(one, orders)
            number += self._plan.instances
            if not await self._has_ended(one):
                return

    async def _play_one(self, one: PlannedInstance, orders: QueueClient) -> None:
        if one.kind == "order":
            await orders.send_message(json.dumps({"id": one.instance_id, "given": one.given}))
        else:
            await self._client.start(one)
        await asyncio.gather(*(self._send(one.instance_id, event) for event in one.events))

    async def _send(self, instance_id: str, event: PlannedEvent) -> None:
        await asyncio.sleep(event.delay)
        await self._client.raise_event(instance_id, event)

    async def _has_ended(self, one: PlannedInstance) -> bool:
        """Wait for its end; False when it does not come although nobody kills the host any more."""
        deadline = None
        while not await self._client.has_ended(one.instance_id):
            if self._is_over:
                deadline = deadline or time.monotonic() + self._plan.drain_seconds
                if time.monotonic() > deadline:
                    return False
            await asyncio.sleep(LOOK_SECONDS * 2)
        return True

    async def _look(self) -> Evidence:
        """Read all that is left: over the API while the host runs, and in its files once it has stopped."""
        await self._until_quiet()
        statuses, totals = await self._client.instances(), await self._client.entities()
        self._host.stop()
        hub = self._host.hub
        parents = parents_of(hub)
        return Evidence(
            started=self._started,
            found=[
                Found(
                    instance_id=one["instanceId"],
                    name=one["name"],
                    status=one["runtimeStatus"],
                    output=one["output"],
                    parent_id=parents.get(one["instanceId"]),
                )
                for one in statuses
            ],
            kills=self._host.kills,
            kills_wanted=self._plan.kills,
            notes=self._noted("activities"),
            messages=self._noted("messages"),
            totals=totals,
            left_on_queue=await self._length(QUEUE),
            poisoned=await self._length(f"{QUEUE}-poison"),
            integrity=integrity_of(hub),
            orphans=orphans_of(hub),
            exits=self._host.exits,
            complaints=self._host.complaints(),
        )

    async def _until_quiet(self) -> None:
        """Signals and queue messages may outlive the instances; what stays is told by the verdict."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if not await self._length(QUEUE) and not orphans_of(self._host.hub):
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _noted(self, name: str) -> Counter[str]:
        path = self._host.notes / name
        return Counter(path.read_text().splitlines() if path.exists() else ())

    async def _length(self, name: str) -> int:
        async with self._queue(name) as queue:
            try:
                return (await queue.get_queue_properties()).approximate_message_count or 0
            except ResourceNotFoundError:
                return 0


async def run(plan: Plan, *, azurite: Azurite, place: Path) -> Evidence:
    """Play a plan and tell what is to be judged. Raises Refusal when the host answers what it must not."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await CrashRun(plan, azurite, place, session).play()
