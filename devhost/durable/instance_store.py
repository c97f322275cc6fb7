"""Instances in the task hub: how they come, are found, get messages, and are forgotten."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from devhost.durable.history import Event, Status, sub_orchestration_failed, utc_text
from devhost.durable.hub_file import HubFile
from devhost.durable.instance_filter import InstanceFilter
from devhost.durable.records import Instance, InstanceActive, Parent

_COLUMNS = (
    "instance_id, execution_id, name, status, input, output, custom_status, created, updated, "
    "parent_id, parent_execution_id, parent_task_id, parent_name"
)
_EVERY_INSTANCE = InstanceFilter()
_REPLACED = "The instance was replaced by a new one with its id."


class InstanceStore(HubFile):
    """An ended instance stays until it is purged or one with its id is started."""

    def create_instance(
        self,
        instance_id: str,
        execution_id: str,
        name: str,
        started: Event,
        now: datetime,
        *,
        replaces_active: bool = False,
    ) -> Parent | None:
        """Store a Pending instance and its first message over an ended one, if any.

        One that has not ended raises InstanceActive, unless it is to be replaced: then it is as if it had
        been terminated first, which the parent that is returned has a message about.
        """
        with self._transaction():
            existing, parent = self.instance(instance_id), None
            if existing is not None and not existing.status.is_final:
                if not replaces_active:
                    raise InstanceActive(existing.status)
                parent = existing.parent
            if parent is not None:
                told = sub_orchestration_failed(parent.task_id, _REPLACED, None, now)
                self._add_message(parent.instance_id, parent.execution_id, told)
            self._insert(instance_id, execution_id, name, started, now, replaces=existing is not None)
        return parent

    def _insert(
        self, instance_id: str, execution_id: str, name: str, started: Event, now: datetime, *, replaces: bool
    ) -> None:
        if replaces:
            self._forget(instance_id)
        moment, parent = utc_text(now), _parent_columns(started)
        self._db.execute(
            f"INSERT INTO instances ({_COLUMNS}) VALUES (?,?,?,?,?,NULL,NULL,?,?,?,?,?,?)",  # noqa: S608 (a constant)
            (instance_id, execution_id, name, int(Status.PENDING), started["Input"], moment, moment, *parent),
        )
        self._add_message(instance_id, execution_id, started)

    def _forget(self, instance_id: str) -> None:
        for table in ("instances", "history", "messages", "activities", "timers"):
            self._db.execute(f"DELETE FROM {table} WHERE instance_id = ?", (instance_id,))  # noqa: S608 (constants)

    def instance(self, instance_id: str) -> Instance | None:
        """One instance, or None."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM instances WHERE instance_id = ?",  # noqa: S608 (a constant)
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
            f"SELECT {_COLUMNS} FROM instances WHERE (created, instance_id) > (?, ?) AND {condition}"  # noqa: S608 (constants)
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


def _parent_columns(started: Event) -> tuple[str | None, str | None, int | None, str | None]:
    parent = started["ParentInstance"]
    if parent is None:
        return (None, None, None, None)
    ids = parent["OrchestrationInstance"]
    return ids["InstanceId"], ids["ExecutionId"], parent["TaskScheduleId"], parent["Name"]


def _instance(row: Any) -> Instance:
    parent = Parent(*row[9:]) if row[9] is not None else None
    return Instance(*row[:3], Status(row[3]), *row[4:9], parent)  # type: ignore[call-arg]  # a row is Any
