"""What a person who looks at the hub is shown: counts, the newest instances, and whose child each is."""

from collections.abc import Collection
from dataclasses import dataclass

from devhost.durable.history import Status
from devhost.durable.hub_file import HubFile

_LAST_CHARACTER = "\U0010ffff"
_COLUMNS = "instance_id, name, status, created, updated, parent_id"


@dataclass(frozen=True, slots=True)
class InstanceLine:
    """An instance without its texts. Moments are UTC texts."""

    instance_id: str
    name: str
    status: Status
    created: str
    updated: str
    parent_id: str | None


class InstanceOverview(HubFile):
    """Reads no inputs and outputs, so that thousands of instances are quickly looked through."""

    def counts_by_status(self) -> dict[Status, int]:
        """How many instances stand where; statuses without any are left out."""
        rows = self._db.execute("SELECT status, COUNT(*) FROM instances GROUP BY status")
        return {Status(status): count for status, count in rows}

    def newest_instances(
        self,
        *,
        statuses: Collection[Status] = (),
        prefix: str = "",
        name: str = "",
        roots_only: bool = False,
        before: tuple[str, str] | None = None,
        limit: int = 50,
    ) -> list[InstanceLine]:
        """At most `limit` instances, newest first, before a place (moment of creation and id).

        `prefix` is of the instance's id; `name` stands anywhere in the orchestrator's, in any case.
        Roots are those that no orchestration has started.
        """
        conditions, values = ["1"], list[str | int]()
        if before is not None:
            conditions.append("(created, instance_id) < (?, ?)")
            values += before
        if statuses:
            conditions.append(f"status IN ({','.join('?' * len(statuses))})")
            values += [int(status) for status in statuses]
        if prefix:
            conditions.append("instance_id >= ? AND instance_id < ?")  # a range of the primary key
            values += [prefix, prefix + _LAST_CHARACTER]
        if roots_only:
            conditions.append("parent_id IS NULL")
        if name:
            conditions.append("instr(lower(name), lower(?)) > 0")
            values.append(name)
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM instances WHERE {' AND '.join(conditions)}"  # noqa: S608 (constants)
            " ORDER BY created DESC, instance_id DESC LIMIT ?",
            (*values, limit),
        )
        return [_line(row) for row in rows]

    def children(self, instance_id: str, *, limit: int = 100) -> list[InstanceLine]:
        """At most `limit` of the instances that an instance has started, oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM instances WHERE parent_id = ? ORDER BY created, instance_id LIMIT ?",  # noqa: S608 (a constant)
            (instance_id, limit),
        )
        return [_line(row) for row in rows]

    def last_events(self, instance_id: str, *, limit: int) -> list[str]:
        """The last events of an instance's history as JSON texts, in their order."""
        rows = self._db.execute(
            "SELECT event FROM history WHERE instance_id = ? ORDER BY position DESC LIMIT ?",
            (instance_id, limit),
        ).fetchall()
        return [row[0] for row in reversed(rows)]

    def entity_count(self) -> int:
        """How many entities exist."""
        return int(self._db.execute("SELECT COUNT(*) FROM entities").fetchone()[0])


def _line(row: tuple[str, str, int, str, str, str | None]) -> InstanceLine:
    instance_id, name, status, created, updated, parent_id = row
    return InstanceLine(instance_id, name, Status(status), created, updated, parent_id)
