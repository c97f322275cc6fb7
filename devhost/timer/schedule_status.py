"""The status of a schedule: when its timer ran last and when it runs next, as the host's monitor keeps it."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from devhost.timer.schedule import Schedule

_UNSET = "0001-01-01T00:00:00+00:00"


class StatusStore(Protocol):
    """Where the statuses are kept: one JSON text a timer function."""

    def timer_trigger_status(self, function: str) -> str | None:
        """Stored text, or None."""

    def store_timer_trigger_status(self, function: str, status: str) -> None:
        """Store a text over the one before."""


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """Moments in UTC. `last` is None before the first run; `next_run` is None for a schedule that is over."""

    last: datetime | None
    next_run: datetime | None
    updated: datetime | None

    def to_json(self, zone: tzinfo = UTC) -> str:
        """JSON object with PascalCase members, as the monitor stores it; moments in local time."""
        moments = {"Last": self.last, "Next": self.next_run, "LastUpdated": self.updated}
        return json.dumps({name: _text(moment, zone) for name, moment in moments.items()})

    @classmethod
    def from_json(cls, text: str) -> "ScheduleStatus":
        """Read what `to_json` wrote. Raises ValueError."""
        try:
            values = json.loads(text)
            return cls(_moment(values["Last"]), _moment(values["Next"]), _moment(values["LastUpdated"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no schedule status: {error!r}") from None


def taken_up(stored: ScheduleStatus | None, schedule: Schedule, now: datetime) -> ScheduleStatus:
    """The status to begin with: a first one, the stored one, or one for a schedule that was changed."""
    if stored is None:
        return ScheduleStatus(None, schedule.next_after(now), now)
    origin = stored.last or stored.updated or now
    expected = schedule.next_after(origin)
    if stored.next_run == expected:
        return stored
    if expected is not None and now > expected:
        # What the new schedule would have run while the host was away is not caught up.
        expected, origin = schedule.next_after(now), now
    return ScheduleStatus(None, expected, origin)


def _text(moment: datetime | None, zone: tzinfo) -> str:
    """ISO text with an offset and no needless decimals, as .NET writes a local time."""
    if moment is None:
        return _UNSET
    moment = moment.astimezone(zone)
    if not moment.microsecond:
        return moment.isoformat()
    head, _, rest = moment.isoformat(timespec="microseconds").partition(".")
    return f"{head}.{rest[:6].rstrip('0')}{rest[6:]}"


def _moment(text: str) -> datetime | None:
    moment = datetime.fromisoformat(text)
    if moment.year == 1:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
