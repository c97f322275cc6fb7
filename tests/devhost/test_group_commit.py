"""Writes that share a commit: each is whole or leaves nothing, and none is told before it is stored."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devhost.durable.group_commit import GroupCommit
from devhost.durable.history import EventType, event
from devhost.durable.task_hub import TaskHub

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[TaskHub]:
    opened = TaskHub(tmp_path / "hub.sqlite")
    yield opened
    opened.close()


def adding(hub: TaskHub, instance_id: str) -> Callable[[], None]:
    return lambda: hub.add_event(instance_id, event(EventType.EVENT_RAISED, NOW, Name="e", Input="1"))


def half_done(hub: TaskHub) -> None:
    """A transaction that fails after its first write."""
    with hub._transaction():
        hub._add_message("half", None, event(EventType.EVENT_RAISED, NOW, Name="e", Input="1"))
        raise ValueError("no")


async def test_writes_of_one_turn_share_one_commit(hub: TaskHub) -> None:
    commits: list[str] = []
    hub._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    group = GroupCommit(hub)
    await asyncio.gather(*(group.write(adding(hub, str(number))) for number in range(5)))
    assert len(commits) == 1
    assert hub.waiting_instances() == ["0", "1", "2", "3", "4"]


async def test_a_write_that_fails_leaves_nothing_and_the_others_stay(hub: TaskHub) -> None:
    group = GroupCommit(hub)
    changes: list[Callable[[], None]] = [adding(hub, "a"), lambda: half_done(hub), adding(hub, "b")]
    outcomes = await asyncio.gather(*map(group.write, changes), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), ValueError, type(None)]
    assert hub.waiting_instances() == ["a", "b"]


class Refusing:
    """A connection that takes no commit, as on a full disk."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(sql, *values)


async def test_when_the_commit_fails_every_caller_is_told(hub: TaskHub) -> None:
    connection, hub._db = hub._db, Refusing(hub._db)
    group = GroupCommit(hub)
    outcomes = await asyncio.gather(
        *(group.write(adding(hub, name)) for name in "ab"), return_exceptions=True
    )
    assert [str(outcome) for outcome in outcomes] == ["database or disk is full"] * 2
    hub._db = connection
    assert hub.waiting_instances() == []
    await group.write(adding(hub, "later"))
    assert hub.waiting_instances() == ["later"]


async def test_a_caller_that_is_gone_does_not_keep_the_others_from_their_results(hub: TaskHub) -> None:
    group = GroupCommit(hub)
    gone = asyncio.ensure_future(group.write(adding(hub, "gone")))
    stays = asyncio.ensure_future(group.write(adding(hub, "stays")))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert hub.waiting_instances() == ["gone", "stays"]


async def test_a_write_that_finds_the_disk_full_spoils_no_other(hub: TaskHub) -> None:
    """SQLite rolls back all of the shared transaction then, and what comes after would commit itself."""
    pages = hub._db.execute("PRAGMA page_count").fetchone()[0]
    hub._db.execute(f"PRAGMA max_page_count = {pages + 5}")
    large = event(EventType.EVENT_RAISED, NOW, Name="e", Input="1" * 1_000_000)
    changes = [adding(hub, "before"), lambda: hub.add_event("large", large), adding(hub, "after")]
    group = GroupCommit(hub)
    outcomes = await asyncio.gather(*map(group.write, changes), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["None", "database or disk is full", "None"]
    assert hub.waiting_instances() == ["before", "after"]
