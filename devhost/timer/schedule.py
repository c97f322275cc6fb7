"""A timer schedule: NCRONTAB in a time zone, or a constant interval."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from devhost.timer.ncrontab import Ncrontab, parse_ncrontab
from devhost.timer.time_zone import from_wall, is_ambiguous, offset_at, to_wall
from devhost.timespan import parse_timespan

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """A constant wait from the last run."""

    length: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        """The moment one interval later, in UTC; None past the end of the calendar."""
        try:
            return moment.astimezone(UTC) + self.length
        except OverflowError:
            return None

    def __str__(self) -> str:
        return f"Constant: {self.length}"


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """An NCRONTAB expression, read on the clock of a time zone.

    Where the clock is set back, a schedule of intervals runs in both of the hours that look alike, and one of
    points in time runs in the first only.
    """

    expression: str
    cron: Ncrontab
    zone: tzinfo

    def next_after(self, moment: datetime) -> datetime | None:
        """First occurrence strictly later than `moment`, in UTC; None when there is none to come."""
        wall = to_wall(moment, self.zone)
        wall_next = self.cron.next_after(wall)
        if wall_next is None:
            return None
        following = from_wall(wall_next, self.zone)
        next_is_ambiguous = is_ambiguous(to_wall(following, self.zone), self.zone)
        shift = offset_at(following, self.zone) - offset_at(moment, self.zone)
        if self.cron.is_interval:
            if shift and (next_is_ambiguous or is_ambiguous(wall, self.zone)):
                return following + shift
        elif next_is_ambiguous:
            return following + shift if shift else self._after_the_second_hour(wall_next)
        return following

    def _after_the_second_hour(self, wall_next: datetime) -> datetime | None:
        # Started in the second of the two hours: what fits in it has run in the first.
        candidate: datetime | None = wall_next
        while candidate is not None and is_ambiguous(candidate, self.zone):
            candidate = self.cron.next_after(candidate)
        return None if candidate is None else from_wall(candidate, self.zone)

    def __str__(self) -> str:
        return f"Cron: '{self.expression}'"


Schedule = CronSchedule | Interval


def parse_schedule(text: str, zone: tzinfo = UTC) -> Schedule:
    """Read a schedule expression. Raises ValueError with the real host's sentence, and the reason."""
    try:
        return CronSchedule(text, parse_ncrontab(text), zone)
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
    """Whether it comes more often than once in the minute from now; such timers are not monitored."""
    if isinstance(schedule, Interval):
        return schedule.length < _MINUTE
    first = schedule.next_after(now)
    second = schedule.next_after(first) if first else None
    return second is not None and second <= now + _MINUTE


def coming(schedule: Schedule, now: datetime, count: int) -> list[datetime]:
    """The next moments of a schedule, at most `count` of them."""
    found: list[datetime] = []
    following = schedule.next_after(now)
    while following is not None and len(found) < count:
        found.append(following)
        following = schedule.next_after(following)
    return found
