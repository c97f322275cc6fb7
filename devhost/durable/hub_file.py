"""The SQLite file of a task hub: how it is opened, and what one transaction is."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from devhost.durable.history import Event
from devhost.durable.hub_schema import bring_up_to_date

_to_json = msgspec.json.Encoder().encode


class GroupLost(Exception):
    """SQLite itself rolled the shared transaction back, as it does on a full disk: nothing is stored."""


class HubFile:
    """An open task hub. All calls are short and come from one thread."""

    def __init__(self, path: Path) -> None:
        """Open or make it. Raises HostStartError when a newer devhost wrote it."""
        self._db: Any = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            bring_up_to_date(self._db, path)
        except BaseException:
            self._db.close()
            raise
        self._version_seen = self._data_version()
        self._is_grouped = False

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        self._db.close()

    @contextmanager
    def group(self) -> Iterator[None]:
        """Make the transactions inside one write to the file; each of them stays whole or leaves nothing.

        Raises GroupLost.
        """
        with self._bracketed("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"):
            self._is_grouped = True
            try:
                yield
            finally:
                self._is_grouped = False
            self._require_group()

    def _require_group(self) -> None:
        if not self._db.in_transaction:
            raise GroupLost

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        if self._is_grouped:
            self._require_group()  # a savepoint of its own would be a transaction of its own
            brackets = ("SAVEPOINT one", "RELEASE one", "ROLLBACK TO one")
        else:
            brackets = ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
        with self._bracketed(*brackets):
            yield self._db

    @contextmanager
    def _bracketed(self, begin: str, end: str, undo: str) -> Iterator[None]:
        self._db.execute(begin)
        try:
            yield
            self._db.execute(end)
        except BaseException:
            if self._db.in_transaction:  # a COMMIT that fails may have ended it
                self._db.execute(undo)
            raise

    def was_changed_elsewhere(self) -> bool:
        """Whether another process has written since this was last asked."""
        before, self._version_seen = self._version_seen, self._data_version()
        return self._version_seen != before

    def _data_version(self) -> int:
        """A number that changes with each transaction of another connection (SQLite documentation)."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def newest_message_ids(self) -> tuple[int, int]:
        """The highest ids of the messages to instances and of those to entities that wait; 0 for none."""
        newest: tuple[int, int] = self._db.execute(
            "SELECT COALESCE((SELECT MAX(message_id) FROM messages), 0),"
            " COALESCE((SELECT MAX(message_id) FROM entity_messages), 0)"
        ).fetchone()
        return newest

    def _add_message(self, instance_id: str, execution_id: str | None, event: Event) -> None:
        self._db.execute(
            "INSERT INTO messages (instance_id, execution_id, event) VALUES (?,?,?)",
            (instance_id, execution_id, event_text(event)),
        )

    def _add_activity(
        self, instance_id: str, execution_id: str, task_id: int, name: str, input_text: str | None
    ) -> int:
        cursor = self._db.execute(
            "INSERT INTO activities (instance_id, execution_id, task_id, name, input) VALUES (?,?,?,?,?)",
            (instance_id, execution_id, task_id, name, input_text),
        )
        return int(cursor.lastrowid or 0)

    def _add_entity_message(self, entity_id: str, body: str) -> None:
        self._db.execute("INSERT INTO entity_messages (entity_id, body) VALUES (?,?)", (entity_id, body))


def event_text(event: Event) -> str:
    """An event as the hub stores it."""
    return _to_json(event).decode()
