"""What stands in a task hub's file, read past the host."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from devhost.durable.history import Status
from tests.crash.evidence import Load

_FINAL = ",".join(str(int(status)) for status in Status if status.is_final)
_UNFINISHED = f"SELECT instance_id FROM instances WHERE status NOT IN ({_FINAL})"  # noqa: S608 (numbers)


def load_of(hub: Path, spare: Path) -> Load:
    """What a killed host left to do; read in a copy: to open a hub is to repair it."""
    for name in (hub.name, f"{hub.name}-wal"):
        (spare / name).unlink(missing_ok=True)
        if (source := hub.with_name(name)).exists():
            shutil.copyfile(source, spare / name)
    if not (spare / hub.name).exists():
        return Load()
    with _opened(spare / hub.name) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entity_messages'").fetchone():
            return Load()  # it was killed before it had made its tables

        def count(table: str) -> int:
            return int(db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608 (constants)

        return Load(
            unfinished=count(f"({_UNFINISHED})"),
            activities=count("activities"),
            timers=count("timers"),
            messages=count("messages"),
            entity_messages=count("entity_messages"),
        )


def parents_of(hub: Path) -> dict[str, str]:
    """Each sub-orchestration's parent, by their ids."""
    with _opened(hub) as db:
        rows = db.execute("SELECT instance_id, parent_id FROM instances WHERE parent_id IS NOT NULL")
        return dict(rows.fetchall())


def integrity_of(hub: Path) -> str:
    """``ok``, or what SQLite finds wrong with the file."""
    with _opened(hub) as db:
        return "; ".join(row[0] for row in db.execute("PRAGMA integrity_check"))


def orphans_of(hub: Path) -> list[str]:
    """Rows that belong to no instance that runs: they would stay for ever."""
    with _opened(hub) as db:
        orphans = [
            f"{table}: {row[0]} of {row[1]}"
            for table, column in (
                ("messages", "message_id"),
                ("activities", "activity_id"),
                ("timers", "task_id"),
            )
            for row in db.execute(
                f"SELECT {column}, instance_id FROM {table} WHERE instance_id NOT IN ({_UNFINISHED})"  # noqa: S608
            )
        ]
        orphans += [
            f"entity_messages: {row[0]}" for row in db.execute("SELECT entity_id FROM entity_messages")
        ]
        rows = db.execute(
            "SELECT DISTINCT instance_id FROM history"
            " WHERE instance_id NOT IN (SELECT instance_id FROM instances)"
        )
        return orphans + [f"history of {row[0]}" for row in rows]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as db:
        yield db
