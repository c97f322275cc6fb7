"""The board of the users' jobs, in memory and on Azure Tables (Azurite)."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from agent.job_entry import JobEntry
from agent.ports import JobBoard

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_name() -> str:
    """A name that no other test uses: the tables are shared."""
    return uuid4().hex


def an_entry(**fields: object) -> JobEntry:
    entry = JobEntry(
        job_id=a_name(),
        kind="order_laptop",
        title="Order a laptop",
        owner_key=a_name(),
        state="running",
        step="Заказ #1292 is on its way",
        percent=50,
        requested_at=NOON,
        updated_at=NOON + timedelta(microseconds=1),
        channel_id="msteams",
        conversation_id="19:chat@thread.tacv2;messageid=1/?#\\",
    )
    return msgspec.structs.replace(entry, **fields)


async def test_an_entry_is_found_as_it_was_put(job_board: JobBoard) -> None:
    broken = an_entry(state="failed", request={"job": "order_laptop"}, reason="begin: ConnectionError")
    for entry in (an_entry(), an_entry(percent=None, step="", state="failed"), broken):
        await job_board.put(entry)
        assert await job_board.find(entry.owner_key, entry.job_id) == entry
        assert await job_board.of_owner(entry.owner_key, at_most=5) == [entry]


async def test_an_entry_is_put_over_the_one_that_is_there(job_board: JobBoard) -> None:
    entry = an_entry()
    await job_board.put(entry)
    ended = msgspec.structs.replace(entry, state="done", step="", percent=None)
    await job_board.put(ended)
    assert await job_board.of_owner(entry.owner_key, at_most=5) == [ended]


async def test_the_first_entry_does_not_replace_a_later_one(job_board: JobBoard) -> None:
    ended = an_entry(state="done")
    await job_board.put(ended)
    assert not await job_board.insert(msgspec.structs.replace(ended, state="running"))
    assert await job_board.find(ended.owner_key, ended.job_id) == ended


async def test_of_many_first_entries_at_once_one_is_written(job_board: JobBoard) -> None:
    entry = an_entry()
    written = await asyncio.gather(*(job_board.insert(entry) for _ in range(8)))
    assert sorted(written) == [False] * 7 + [True]
    assert await job_board.find(entry.owner_key, entry.job_id) == entry


async def test_an_owners_jobs_come_newest_first_and_no_more_than_asked_for(job_board: JobBoard) -> None:
    owner_key = a_name()
    entries = [
        an_entry(owner_key=owner_key, requested_at=NOON + timedelta(minutes=minute))
        for minute in (1, 3, 0, 2)
    ]
    for entry in entries:
        await job_board.put(entry)
    await job_board.put(an_entry())
    listed = await job_board.of_owner(owner_key, at_most=3)
    assert [entry.requested_at.minute for entry in listed] == [3, 2, 1]
    assert len(await job_board.of_owner(owner_key, at_most=50)) == 4


async def test_nobody_finds_the_job_of_another(job_board: JobBoard) -> None:
    entry = an_entry()
    await job_board.put(entry)
    assert await job_board.find(a_name(), entry.job_id) is None
    assert await job_board.of_owner(a_name(), at_most=5) == []


@pytest.mark.parametrize("job_id", ["unknown", "it's", "' or owner ne '"])
async def test_an_unknown_job_is_not_found(job_board: JobBoard, job_id: str) -> None:
    entry = an_entry()
    await job_board.put(entry)
    assert await job_board.find(entry.owner_key, job_id) is None


async def test_ended_jobs_are_dropped_when_they_are_old(job_board: JobBoard) -> None:
    long_ago = NOON - timedelta(days=400)
    owner_key = a_name()
    old = [
        an_entry(owner_key=owner_key, updated_at=long_ago, state=state)
        for state in ("done", "failed", "cancelled")
    ]
    running = an_entry(owner_key=owner_key, updated_at=long_ago)
    young = an_entry(owner_key=owner_key, state="done")
    for entry in (*old, running, young):
        await job_board.put(entry)
    assert await job_board.forget_before(long_ago + timedelta(seconds=1)) == 3
    kept = {entry.job_id for entry in await job_board.of_owner(owner_key, at_most=50)}
    assert kept == {running.job_id, young.job_id}
