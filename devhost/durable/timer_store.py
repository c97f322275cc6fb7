"""Timers of orchestrations in the task hub, and where the timer functions' schedules stand."""

from collections.abc import Iterable
from datetime import datetime

from devhost.durable.history import Event, utc_text
from devhost.durable.hub_file import HubFile

DueTimer = tuple[str, str, int, str]  # instance id, execution id, task id, and the moment as UTC text


class TimerStore(HubFile):
    """What is to happen at a moment."""

    def next_timer(self) -> str | None:
        """Moment of the next timer as UTC text, or None."""
        row = self._db.execute("SELECT MIN(fire_at) FROM timers").fetchone()
        return row[0] if row else None

    def due_timers(self, now: datetime, *, limit: int = -1) -> list[DueTimer]:
        """At most `limit` of the timers that are due, earliest first."""
        rows: list[DueTimer] = self._db.execute(
            "SELECT instance_id, execution_id, task_id, fire_at FROM timers WHERE fire_at <= ?"
            " ORDER BY fire_at LIMIT ?",
            (utc_text(now), limit),
        ).fetchall()
        return rows

    def fire_timers(self, fired: Iterable[tuple[DueTimer, Event]]) -> None:
        """Replace timers by their messages."""
        with self._transaction() as db:
            for (instance_id, execution_id, task_id, _), event in fired:
                db.execute(
                    "DELETE FROM timers WHERE instance_id = ? AND execution_id = ? AND task_id = ?",
                    (instance_id, execution_id, task_id),
                )
                self._add_message(instance_id, execution_id, event)

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
