"""A timer schedule: NCRONTAB or a constant interval."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from devhost.timer.ncrontab import Ncrontab, parse_ncrontab
from devhost.timespan import parse_timespan


@dataclass(frozen=True, slots=True)
class Interval:
    """A constant wait from the last run."""

    length: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        """The moment one interval later."""
        return moment + self.length


Schedule = Ncrontab | Interval


def parse_schedule(text: str) -> Schedule:
    """Read a schedule expression. Raises ValueError with the real host's sentence."""
    try:
        return parse_ncrontab(text)
    except ValueError as reason:
        try:
            length = parse_timespan(text)
        except ValueError:
            length = timedelta(0)
        if length > timedelta(0):
            return Interval(length)
        raise ValueError(
            f"The schedule expression '{text}' was not recognized as a valid cron expression "
            f"or timespan string. ({reason})"
        ) from None


def is_frequent(schedule: Schedule, now: datetime) -> bool:
    """Whether it comes more often than once a minute; such timers are not monitored."""
    first = schedule.next_after(now)
    second = schedule.next_after(first) if first else None
    return first is not None and second is not None and second - first < timedelta(minutes=1)
