"""The task hub: instances, histories, messages, activities, timers and entities in one SQLite file.

Every public method that writes is one transaction, so a process killed at any moment leaves a whole state.
With the write-ahead log and synchronous=NORMAL a killed process loses nothing; a power cut may lose moments.
"""

from collections.abc import Sequence

import msgspec

from devhost.durable.entity_store import EntityStore
from devhost.durable.history import Event, sub_orchestration_failed, utc_text
from devhost.durable.hub_file import event_text
from devhost.durable.instance_overview import InstanceOverview
from devhost.durable.records import ActivityWork, ChildStart, Committed, Episode, EpisodeChange
from devhost.durable.rewind import RewindStore
from devhost.durable.timer_store import TimerStore

_ACTIVITY_COLUMNS = "activity_id, instance_id, execution_id, task_id, name, input"


class TaskHub(RewindStore, InstanceOverview, TimerStore, EntityStore):
    """The store of one hub."""

    def waiting_instances(self, *, after: int = 0) -> list[str]:
        """Ids of the instances that have messages of ids above one, in the order in which those came."""
        rows = self._db.execute(
            "SELECT instance_id FROM messages WHERE message_id > ? GROUP BY instance_id"
            " ORDER BY MIN(message_id)",
            (after,),
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
        with self._transaction():
            self._drop_messages(instance_id, rows[-1][0])
        return None

    def _drop_messages(self, instance_id: str, last_message_id: int) -> None:
        self._db.execute(
            "DELETE FROM messages WHERE instance_id = ? AND message_id <= ?", (instance_id, last_message_id)
        )

    def commit_episode(self, episode: Episode, change: EpisodeChange) -> Committed:
        """Store one step as a whole, with all that it sends to others, and say what there is to do now.

        A step of an execution that was replaced meanwhile changes nothing.
        """
        instance = episode.instance
        instance_id, execution_id, input_text = (
            instance.instance_id,
            instance.execution_id,
            instance.input_text,
        )
        with self._transaction() as db:
            if not self._is_current(instance_id, execution_id):
                return Committed()
            self._drop_messages(instance_id, episode.last_message_id)
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
            activities = [self._add_activity(instance_id, execution_id, *one) for one in change.activities]
            woken = self._send(episode, change)
        return Committed(activities, woken, list(dict.fromkeys(to for to, _ in change.entity_messages)))

    def _is_current(self, instance_id: str, execution_id: str) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM instances WHERE instance_id = ? AND execution_id = ?", (instance_id, execution_id)
        )
        return found.fetchone() is not None

    def _append(self, instance_id: str, first: int, events: Sequence[Event]) -> None:
        rows = [(instance_id, first + index, event_text(event)) for index, event in enumerate(events)]
        self._db.executemany("INSERT INTO history (instance_id, position, event) VALUES (?,?,?)", rows)

    def _send(self, episode: Episode, change: EpisodeChange) -> list[str]:
        """Store what a step sends to others; returns the instances that have messages now."""
        woken = [episode.instance.instance_id] if change.messages else []
        woken += [self._start_child(episode, child, change) for child in change.children]
        parent = episode.instance.parent
        if change.to_parent is not None and parent is not None:
            self._add_message(parent.instance_id, parent.execution_id, change.to_parent)
            woken.append(parent.instance_id)
        for entity_id, body in change.entity_messages:
            self._add_entity_message(entity_id, body)
        return list(dict.fromkeys(woken))

    def _start_child(self, episode: Episode, child: ChildStart, change: EpisodeChange) -> str:
        """Start one, or fail it for its parent when its id is taken; returns who has a message now."""
        existing = self.instance(child.instance_id)
        if existing is None or existing.status.is_final:
            self._insert(
                child.instance_id,
                child.execution_id,
                child.name,
                child.started,
                change.updated,
                replaces=existing is not None,
            )
            return child.instance_id
        reason = f"An Orchestration instance with the status {existing.status.text} already exists."
        refused = sub_orchestration_failed(child.task_id, reason, None, change.updated)
        self._add_message(episode.instance.instance_id, episode.instance.execution_id, refused)
        return episode.instance.instance_id

    def pending_activity_ids(self, *, after: int = 0) -> list[int]:
        """Ids above one of the activities without a result, oldest first: what is to be dispatched."""
        rows = self._db.execute(
            "SELECT activity_id FROM activities WHERE activity_id > ? ORDER BY activity_id", (after,)
        )
        return [row[0] for row in rows]

    def pending_activities(self) -> list[ActivityWork]:
        """The activities without a result, oldest first, with their inputs."""
        rows = self._db.execute(f"SELECT {_ACTIVITY_COLUMNS} FROM activities ORDER BY activity_id")  # noqa: S608 (a constant)
        return [ActivityWork(*row) for row in rows]

    def activity(self, activity_id: int) -> ActivityWork | None:
        """An activity that waits for its result, or None; a purge takes it away."""
        row = self._db.execute(
            f"SELECT {_ACTIVITY_COLUMNS} FROM activities WHERE activity_id = ?",  # noqa: S608 (a constant)
            (activity_id,),
        ).fetchone()
        return ActivityWork(*row) if row else None

    def has_activities(self, instance_id: str) -> bool:
        """Whether an instance waits for results of activities."""
        found = self._db.execute("SELECT 1 FROM activities WHERE instance_id = ? LIMIT 1", (instance_id,))
        return found.fetchone() is not None

    def complete_activity(self, work: ActivityWork, event: Event) -> None:
        """Replace an activity by the message with its result; one that is gone has none."""
        with self._transaction() as db:
            gone = db.execute("DELETE FROM activities WHERE activity_id = ?", (work.activity_id,))
            if gone.rowcount:
                self._add_message(work.instance_id, work.execution_id, event)
