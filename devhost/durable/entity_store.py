"""Entities in the task hub: their states, and the requests that wait for them."""

from datetime import datetime

from devhost.durable.history import utc_text
from devhost.durable.hub_file import HubFile
from devhost.durable.records import Committed, Entity, EntityChange, EntityWork

_COLUMNS = "entity_id, state, created, updated"


class EntityStore(HubFile):
    """A row of `entities` is there only while the entity exists."""

    def add_entity_message(self, entity_id: str, body: str) -> None:
        """Store a request (JSON text) for an entity, which need not exist."""
        with self._transaction():
            self._add_entity_message(entity_id, body)

    def waiting_entities(self, *, after: int = 0) -> list[str]:
        """Ids of the entities that have requests of ids above one, in the order in which those came."""
        rows = self._db.execute(
            "SELECT entity_id FROM entity_messages WHERE message_id > ? GROUP BY entity_id"
            " ORDER BY MIN(message_id)",
            (after,),
        )
        return [row[0] for row in rows]

    def load_entity(self, entity_id: str, *, most: int = 1000) -> EntityWork | None:
        """An entity with at most `most` of its requests, or None when there are none."""
        rows = self._db.execute(
            "SELECT message_id, body FROM entity_messages WHERE entity_id = ? ORDER BY message_id LIMIT ?",
            (entity_id, most),
        ).fetchall()
        if not rows:
            return None
        found = self.entity(entity_id)
        state = found.state if found else None
        return EntityWork(entity_id, found is not None, state, [row[1] for row in rows], rows[-1][0])

    def commit_entity(self, work: EntityWork, change: EntityChange) -> Committed:
        """Store what a batch of operations did, as a whole."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM entity_messages WHERE entity_id = ? AND message_id <= ?",
                (work.entity_id, work.last_message_id),
            )
            self._set_entity(work.entity_id, change)
            for instance_id, execution_id, event in change.to_instances:
                self._add_message(instance_id, execution_id, event)
            for entity_id, body in change.signals:
                self._add_entity_message(entity_id, body)
        return Committed(
            wake_instances=list(dict.fromkeys(instance_id for instance_id, *_ in change.to_instances)),
            wake_entities=list(dict.fromkeys(entity_id for entity_id, _ in change.signals)),
        )

    def _set_entity(self, entity_id: str, change: EntityChange) -> None:
        if not change.exists:
            self._db.execute("DELETE FROM entities WHERE entity_id = ?", (entity_id,))
            return
        now = utc_text(change.updated)
        self._db.execute(
            f"INSERT INTO entities ({_COLUMNS}) VALUES (?,?,?,?) ON CONFLICT (entity_id)"  # noqa: S608 (a constant)
            " DO UPDATE SET state = excluded.state, updated = excluded.updated",
            (entity_id, change.state, now, now),
        )

    def entity(self, entity_id: str) -> Entity | None:
        """One entity, or None when it does not exist."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM entities WHERE entity_id = ?",  # noqa: S608 (a constant)
            (entity_id,),
        ).fetchone()
        return Entity(*row) if row else None

    def entities(
        self,
        prefix: str = "",
        *,
        updated_from: datetime | None = None,
        updated_to: datetime | None = None,
        after: str = "",
        limit: int = -1,
    ) -> list[Entity]:
        """At most `limit` entities whose id begins with `prefix`, in the order of their ids, after one id."""
        first = utc_text(updated_from) if updated_from else ""
        last = utc_text(updated_to) if updated_to else "~"
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM entities WHERE entity_id > ? AND substr(entity_id, 1, ?) = ?"  # noqa: S608 (a constant)
            " AND updated BETWEEN ? AND ? ORDER BY entity_id LIMIT ?",
            (after, len(prefix), prefix, first, last, limit),
        )
        return [Entity(*row) for row in rows]
