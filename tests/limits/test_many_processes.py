"""The tenant's limit, held by real processes that share nothing but a row in Azurite."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.storage_account import account_of
from adapters.table_tenant_rates import TENANT_RATES
from adapters.tables import Tables
from local.azurite import Azurite
from tests.limits.sender import TENANT

ROOT = Path(__file__).parent.parent.parent
LIMIT = 30
SECONDS = 8.0
TRIES = 3


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().strip()


@pytest.fixture
async def service_url() -> AsyncIterator[str]:
    process = await start("testconnector", "--port", "0", "--no-bodies")
    try:
        yield (await line_of(process)).removeprefix("Service URL:").strip()
    finally:
        process.terminate()
        await process.communicate()


@pytest.fixture
async def storage(azurite: Azurite) -> AsyncIterator[str]:
    yield azurite.connection_string
    tables = Tables(account_of(azurite.connection_string))
    await (await tables.table(TENANT_RATES)).delete(TENANT)
    await tables.close()


async def sent_by(
    processes: int, *, senders: int, storage: str, service_url: str, pause: float = 0.0
) -> list[dict[str, Any]]:
    """What each of so many processes did, which began at the same time."""
    options = (storage, service_url, str(senders), str(pause), str(SECONDS))
    started = [await start("tests.limits.sender", f"p{number}", *options) for number in range(processes)]
    try:
        for process in started:
            assert await line_of(process) == "ready"
        for process in started:
            assert process.stdin
            process.stdin.write(b"go\n")
        return [json.loads(await line_of(process)) for process in started]
    finally:
        for process in started:
            if process.returncode is None and process.stdin:
                process.stdin.close()
        await asyncio.gather(*(process.wait() for process in started))


async def arrivals_at(service_url: str) -> list[float]:
    base = service_url.partition("/teams")[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/_calls?limit=5000") as answer:
            arrived = [call["at"] for call in await answer.json()]
        await session.delete(f"{base}/_calls")
    return arrived


def most_in_a_second(times: list[float]) -> int:
    return max(sum(at <= other < at + 1.0 for other in times) for at in times)


def figures(did: list[dict[str, Any]], arrived: list[float]) -> dict[str, Any]:
    let_through = sorted(at for one in did for at in one["letThrough"])
    operations = sum(one["operations"] for one in did)
    lasted = max(arrived) - min(arrived)
    return {
        "arrived": len(arrived),
        "a second": round(len(arrived) / lasted, 1),
        "most let through in a second": most_in_a_second(let_through),
        "most arrived in a second": most_in_a_second(arrived),
        "told to come back": sum(one["busy"] for one in did),
        "storage operations": operations,
        "operations a send": round(operations / len(arrived), 3),
    }


@pytest.mark.parametrize(("processes", "senders"), [(1, 20), (4, 10), (4, 40)])
async def test_processes_together_keep_the_limit_in_each_second_and_use_nine_tenths_of_it(
    processes: int, senders: int, storage: str, service_url: str
) -> None:
    """What the row allows holds at each try. When things arrive is the machine's affair too: a process that
    is stalled loses slots, and a connector that is stalled sees arrivals together; so of three tries one
    must be as it is on a machine at rest."""
    tries = []
    for _ in range(TRIES):
        did = await sent_by(processes, senders=senders, storage=storage, service_url=service_url)
        found = figures(did, await arrivals_at(service_url))
        print(processes, "processes,", senders, "senders each:", found)  # noqa: T201
        moves = [(version, moved_to) for one in did for version, moved_to in one["moves"]]
        assert len({version for version, _ in moves}) == len(moves), "two moved the same row"
        moved_to = sorted(moved_to for _, moved_to in moves)
        assert all(later > earlier for earlier, later in pairwise(moved_to))
        tries.append(found)
        if is_as_asked(found):
            break
    assert is_as_asked(tries[-1]), tries


def is_as_asked(found: dict[str, Any]) -> bool:
    most = max(found["most let through in a second"], found["most arrived in a second"])
    return bool(most <= LIMIT + 1 and found["a second"] >= 0.9 * LIMIT)


async def test_rare_sends_cost_one_operation_each(storage: str, service_url: str) -> None:
    did = await sent_by(1, senders=1, storage=storage, service_url=service_url, pause=1.5)
    arrived = await arrivals_at(service_url)
    print("rare sends:", figures(did, arrived))  # noqa: T201
    first_of_all = 2  # read, insert
    assert did[0]["operations"] <= first_of_all + 2 * (len(arrived) - 1)
