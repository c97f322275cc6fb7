"""The task hub: instances, histories, messages, activities and timers in one SQLite file.

Every public method that writes is one transaction, so a process killed at any moment leaves a whole state.
With the write-ahead log and synchronous=NORMAL a killed process loses nothing; a power cut may lose moments.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from devhost.durable.history import Event, Status, utc_text
from devhost.durable.hub_schema import SCHEMA
from devhost.durable.instance_filter import InstanceFilter
from devhost.durable.records import ActivityWork, Episode, EpisodeChange, Instance, InstanceActive

_INSTANCE_COLUMNS = "instance_id, execution_id, name, status, input, output, custom_status, created, updated"
_EVERY_INSTANCE = InstanceFilter()


class TaskHub:
    """The store of one hub. All calls are short and come from one thread."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._version_seen = self._data_version()

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a COMMIT that fails may have ended it
                self._db.execute("ROLLBACK")
            raise

    def was_changed_elsewhere(self) -> bool:
        """Whether another process has written since this was last asked."""
        before, self._version_seen = self._version_seen, self._data_version()
        return self._version_seen != before

    def _data_version(self) -> int:
        """A number that changes with each transaction of another connection (SQLite documentation)."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def create_instance(
        self, instance_id: str, execution_id: str, name: str, started: Event, now: datetime
    ) -> None:
        """Store a Pending instance and its first message over an ended one, if any. Raises InstanceActive."""
        with self._transaction() as db:
            existing = self.instance(instance_id)
            if existing is not None:
                if not existing.status.is_final:
                    raise InstanceActive(existing.status)
                self._forget(instance_id)
            values = (instance_id, execution_id, name, int(Status.PENDING), started["Input"], None, None)
            db.execute(
                f"INSERT INTO instances ({_INSTANCE_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)",  # noqa: S608 (a constant)
                (*values, utc_text(now), utc_text(now)),
            )
            self._add_message(instance_id, execution_id, started)

    def _forget(self, instance_id: str) -> None:
        for table in ("instances", "history", "messages", "activities", "timers"):
            self._db.execute(f"DELETE FROM {table} WHERE instance_id = ?", (instance_id,))  # noqa: S608 (constants)

    def _add_message(self, instance_id: str, execution_id: str | None, event: Event) -> None:
        self._db.execute(
            "INSERT INTO messages (instance_id, execution_id, event) VALUES (?,?,?)",
            (instance_id, execution_id, _text(event)),
        )

    def instance(self, instance_id: str) -> Instance | None:
        """One instance, or None."""
        row = self._db.execute(
            f"SELECT {_INSTANCE_COLUMNS} FROM instances WHERE instance_id = ?",  # noqa: S608 (a constant)
            (instance_id,),
        ).fetchone()
        return _instance(row) if row else None

    def instances(
        self,
        wanted: InstanceFilter = _EVERY_INSTANCE,
        *,
        after: tuple[str, str] = ("", ""),
        limit: int = -1,
    ) -> list[Instance]:
        """At most `limit` instances that fit, oldest first, after a place (moment of creation and id)."""
        condition, values = wanted.sql()
        rows = self._db.execute(
            f"SELECT {_INSTANCE_COLUMNS} FROM instances WHERE (created, instance_id) > (?, ?) AND {condition}"  # noqa: S608 (constants)
            " ORDER BY created, instance_id LIMIT ?",
            (*after, *values, limit),
        )
        return [_instance(row) for row in rows]

    def history(self, instance_id: str) -> list[str]:
        """Stored events as JSON texts, in order."""
        rows = self._db.execute(
            "SELECT event FROM history WHERE instance_id = ? ORDER BY position", (instance_id,)
        )
        return [row[0] for row in rows]

    def add_event(self, instance_id: str, event: Event) -> None:
        """Store a message that is for whatever execution runs (an external event, a termination)."""
        with self._transaction():
            self._add_message(instance_id, None, event)

    def waiting_instances(self) -> list[str]:
        """Ids of the instances that have messages, in the order in which those came."""
        rows = self._db.execute(
            "SELECT instance_id FROM messages GROUP BY instance_id ORDER BY MIN(message_id)"
        )
        return [row[0] for row in rows]

    def load_episode(self, instance_id: str) -> Episode | None:
        """What is needed to run one step, or None when there is nothing to do.

        Messages of an earlier execution, or for an ended or unknown instance, are dropped here.
        """
        rows = self._db.execute(
            "SELECT message_id, execution_id, event FROM messages WHERE instance_id = ? ORDER BY message_id",
            (instance_id,),
        ).fetchall()
        if not rows:
            return None
        instance = self.instance(instance_id)
        if instance is not None and not instance.status.is_final:
            fitting = [row for row in rows if row[1] in (None, instance.execution_id)]
            if fitting:
                past = self.history(instance_id)
                if not past:
                    # A new execution: its start and the events it was handed go before what came meanwhile.
                    fitting.sort(key=lambda row: row[1] is None)
                messages = [msgspec.json.decode(row[2]) for row in fitting]
                return Episode(instance, past, messages, rows[-1][0])
        with self._transaction() as db:
            db.execute(
                "DELETE FROM messages WHERE instance_id = ? AND message_id <= ?", (instance_id, rows[-1][0])
            )
        return None

    def commit_episode(self, episode: Episode, change: EpisodeChange) -> list[ActivityWork]:
        """Store one step as a whole and return the activities that it scheduled."""
        instance_id = episode.instance.instance_id
        execution_id, input_text = episode.instance.execution_id, episode.instance.input_text
        with self._transaction() as db:
            db.execute(
                "DELETE FROM messages WHERE instance_id = ? AND message_id <= ?",
                (instance_id, episode.last_message_id),
            )
            if change.starts_over:
                db.execute("DELETE FROM history WHERE instance_id = ?", (instance_id,))
                execution_id, input_text = change.starts_over
            else:
                self._append(instance_id, len(episode.past), change.history)
            if change.starts_over or change.status.is_final:
                db.execute("DELETE FROM timers WHERE instance_id = ?", (instance_id,))
            for message in change.messages:
                self._add_message(instance_id, execution_id, message)
            db.executemany(
                "INSERT INTO timers (instance_id, execution_id, task_id, fire_at) VALUES (?,?,?,?)",
                [
                    (instance_id, execution_id, task_id, utc_text(fire_at))
                    for task_id, fire_at in change.timers
                ],
            )
            status, updated = int(change.status), utc_text(change.updated)
            db.execute(
                "UPDATE instances SET execution_id = ?, input = ?, status = ?, output = ?, custom_status = ?,"
                " updated = ? WHERE instance_id = ?",
                (execution_id, input_text, status, change.output, change.custom_status, updated, instance_id),
            )
            return [
                self._add_activity(instance_id, execution_id, *activity) for activity in change.activities
            ]

    def _append(self, instance_id: str, first: int, events: Sequence[Event]) -> None:
        rows = [(instance_id, first + index, _text(event)) for index, event in enumerate(events)]
        self._db.executemany("INSERT INTO history (instance_id, position, event) VALUES (?,?,?)", rows)

    def _add_activity(
        self, instance_id: str, execution_id: str, task_id: int, name: str, input_text: str | None
    ) -> ActivityWork:
        cursor = self._db.execute(
            "INSERT INTO activities (instance_id, execution_id, task_id, name, input) VALUES (?,?,?,?,?)",
            (instance_id, execution_id, task_id, name, input_text),
        )
        return ActivityWork(cursor.lastrowid or 0, instance_id, execution_id, task_id, name, input_text)

    def pending_activities(self) -> list[ActivityWork]:
        """Activities without a result, oldest first: what a restarted host dispatches again."""
        rows = self._db.execute(
            "SELECT activity_id, instance_id, execution_id, task_id, name, input FROM activities"
            " ORDER BY activity_id"
        )
        return [ActivityWork(*row) for row in rows]

    def has_activity(self, work: ActivityWork) -> bool:
        """Whether an activity still waits for its result; a purge takes it away."""
        found = self._db.execute("SELECT 1 FROM activities WHERE activity_id = ?", (work.activity_id,))
        return found.fetchone() is not None

    def complete_activity(self, work: ActivityWork, event: Event) -> None:
        """Replace an activity by the message with its result; one that is gone has none."""
        with self._transaction() as db:
            gone = db.execute("DELETE FROM activities WHERE activity_id = ?", (work.activity_id,))
            if gone.rowcount:
                self._add_message(work.instance_id, work.execution_id, event)

    def next_timer(self) -> str | None:
        """Moment of the next timer as UTC text, or None."""
        row = self._db.execute("SELECT MIN(fire_at) FROM timers").fetchone()
        return row[0] if row else None

    def due_timers(self, now: datetime) -> list[tuple[str, str, int, str]]:
        """Instance id, execution id, task id and moment of each timer that is due, earliest first."""
        return self._db.execute(
            "SELECT instance_id, execution_id, task_id, fire_at FROM timers WHERE fire_at <= ?"
            " ORDER BY fire_at",
            (utc_text(now),),
        ).fetchall()

    def fire_timers(self, fired: Iterable[tuple[tuple[str, str, int, str], Event]]) -> None:
        """Replace timers by their messages."""
        with self._transaction() as db:
            for (instance_id, execution_id, task_id, _), event in fired:
                db.execute(
                    "DELETE FROM timers WHERE instance_id = ? AND execution_id = ? AND task_id = ?",
                    (instance_id, execution_id, task_id),
                )
                self._add_message(instance_id, execution_id, event)

    def purge(self, instance_ids: Iterable[str]) -> int:
        """Forget ended instances; others are left. Returns how many went."""
        gone = 0
        with self._transaction():
            for instance_id in instance_ids:
                found = self.instance(instance_id)
                if found is not None and found.status.is_final:
                    self._forget(instance_id)
                    gone += 1
        return gone

    def timer_trigger_status(self, function: str) -> str | None:
        """Stored schedule status of a timer function (JSON text), or None."""
        row = self._db.execute("SELECT status FROM timer_triggers WHERE function = ?", (function,)).fetchone()
        return row[0] if row else None

    def store_timer_trigger_status(self, function: str, status: str) -> None:
        """Store the schedule status of a timer function."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO timer_triggers (function, status) VALUES (?,?)", (function, status)
            )


def _instance(row: Any) -> Instance:
    instance_id, execution_id, name, status, *texts = row
    return Instance(instance_id, execution_id, name, Status(status), *texts)


def _text(event: Event) -> str:
    return msgspec.json.encode(event).decode()
