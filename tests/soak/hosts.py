"""Two hosts that share a task hub and a storage, and whoever kills them now and then."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from local.azurite import Azurite
from local.ports import Ports
from testconnector.server import ScriptedConnector
from tests.faults.killable_host import KillableHost
from tests.soak.jobs import JOURNAL
from tests.soak.plan import PlannedKill
from tests.soak.record import Kill

APP = Path(__file__).parent / "app"
LONGEST_LOOK = 3.0  # seconds for a turn to come to the host that is to be killed in one


class Hosts:
    """The hosts by their numbers, 0 and 1. The first one runs the hub, and from its kill on the other."""

    def __init__(self, azurite: Azurite, connector: ScriptedConnector, *, place: Path) -> None:
        self.journal = place / "journal.jsonl"
        self._hosts = [
            KillableHost(
                azurite,
                connector,
                logs=place / f"host-{number}",
                data=place / "hub",
                settings={JOURNAL: str(self.journal)},
                script_root=APP,
                shares_hub=True,
            )
            for number in range(2)
        ]
        self._is_up = [False, False]
        self._starts = [0, 0]
        self._runs_the_hub = 0
        self.kills: list[Kill] = []

    def is_up(self, number: int) -> bool:
        return self._is_up[number]

    def starts(self, number: int) -> int:
        return self._starts[number]

    def ports(self, number: int) -> Ports:
        return self._hosts[number].ports

    async def start(self) -> None:
        """Start both, one after the other. Raises StackError."""
        for number in range(2):
            await self._start(number)

    async def _start(self, number: int) -> None:
        await asyncio.to_thread(self._hosts[number].start)
        self._starts[number] += 1
        self._is_up[number] = True

    async def kill(self, number: int) -> None:
        """Kill it with -9 and start it again."""
        host, ran_the_hub = self._hosts[number], self._runs_the_hub == number
        pid, at = host.pid, time.monotonic()
        self._is_up[number] = False
        await asyncio.to_thread(host.kill)
        if ran_the_hub:
            self._runs_the_hub = 1 - number
        await self._start(number)
        self.kills.append(Kill(at=at, up_at=time.monotonic(), pid=pid, ran_the_hub=ran_the_hub))

    async def stop(self) -> None:
        await asyncio.gather(*(asyncio.to_thread(host.stop) for host in self._hosts))


async def kill_now_and_then(
    kills: Sequence[PlannedKill], hosts: Hosts, *, under_way: Sequence[int], began: float
) -> None:
    """Kill as it is planned, one at a time. ``under_way``: how many deliveries each host has just now."""
    for planned in kills:
        await asyncio.sleep(max(began + planned.at - time.monotonic(), 0))
        if planned.in_a_turn:
            looked_for = time.monotonic() + LONGEST_LOOK
            while not under_way[planned.host] and time.monotonic() < looked_for:  # noqa: ASYNC110 (as good)
                await asyncio.sleep(0.005)
            await asyncio.sleep(planned.moment)
        await hosts.kill(planned.host)
