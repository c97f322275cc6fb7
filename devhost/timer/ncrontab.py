"""NCRONTAB expressions: which moments they name, and the next one after a given moment."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_LAST_YEAR_AHEAD = 40  # 29 February comes back to a weekday after 28 years, over 2100 after 40
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_LARGEST_INTEGER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Sequence[str] = ()


_FIELDS = (
    _Field("Second", 0, 59),
    _Field("Minute", 0, 59),
    _Field("Hour", 0, 23),
    _Field("Day", 1, 31),
    _Field("Month", 1, 12, _MONTHS),
    _Field("DayOfWeek", 0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Ncrontab:
    """A parsed expression: the allowed values of each field, seconds first."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @property
    def is_interval(self) -> bool:
        """Whether its seconds, minutes or hours have two values in a row: it comes again within a day."""
        return any(
            value + 1 in values for values in (self.seconds, self.minutes, self.hours) for value in values
        )

    def next_after(self, wall: datetime) -> datetime | None:
        """First occurrence strictly later than a naive wall time; None when there is none to come."""
        candidate = wall.replace(microsecond=0) + timedelta(seconds=1)
        last_year = wall.year + _LAST_YEAR_AHEAD
        while candidate.year <= last_year:
            if candidate.month not in self.months:
                candidate = _first_of_next_month(candidate)
            elif not self._is_day(candidate):
                candidate = candidate.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif candidate.hour not in self.hours:
                candidate = candidate.replace(minute=0, second=0) + timedelta(hours=1)
            elif candidate.minute not in self.minutes:
                candidate = candidate.replace(second=0) + timedelta(minutes=1)
            elif candidate.second not in self.seconds:
                candidate += timedelta(seconds=1)
            else:
                return candidate
        return None

    def _is_day(self, moment: datetime) -> bool:
        # Unlike in cron, both the day of the month and the day of the week must fit.
        return moment.day in self.days and (moment.weekday() + 1) % 7 in self.weekdays


def _first_of_next_month(moment: datetime) -> datetime:
    first = moment.replace(day=1, hour=0, minute=0, second=0)
    return (
        first.replace(year=first.year + 1, month=1)
        if first.month == 12
        else first.replace(month=first.month + 1)
    )


def parse_ncrontab(expression: str) -> Ncrontab:
    """Parse five fields (second 0) or six (seconds first). Raises ValueError with NCrontab's own reason."""
    parts = [part for part in expression.split(" ") if part]
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        raise ValueError(
            f"'{expression}' is an invalid crontab expression. It must contain 6 components of a schedule in "
            "the sequence of seconds, minutes, hours, days, months, and days of week."
        )
    fields = [_parse_field(text, field) for text, field in zip(parts, _FIELDS, strict=True)]
    return Ncrontab(*fields)


def _parse_field(text: str, field: _Field) -> frozenset[int]:
    # A comma, slash or dash at the very beginning separates nothing; the value behind it is then refused.
    parts = text.split(",") if text.find(",") > 0 else [text]
    return frozenset(value for part in parts for value in _parse_part(part, field))


def _parse_part(part: str, field: _Field) -> range:
    step: int | None = None
    if part.find("/") > 0:
        part, _, step_text = part.partition("/")
        step = _integer(step_text, field)
    if part == "*":
        first, last = field.low, field.high
    elif part.find("-") > 0:
        first_text, _, last_text = part.partition("-")
        first, last = _parse_value(first_text, field), _parse_value(last_text, field)
    else:
        first = _parse_value(part, field)
        last = first if step is None else field.high
    first, last = min(first, last), max(first, last)  # NCrontab swaps a reversed range, it does not wrap it
    if first < field.low:
        raise ValueError(_out_of_range(first, "lower than the minimum", field))
    if last > field.high:
        raise ValueError(_out_of_range(last, "higher than the maximum", field))
    return range(first, last + 1, max(step or 1, 1))  # NCrontab takes a step below one for one


def _parse_value(text: str, field: _Field) -> int:
    if not text:
        raise ValueError("A crontab field value cannot be empty.")
    if text[0] in "0123456789":
        return _integer(text, field)
    if not field.names:
        raise ValueError(
            f"'{text}' is not a valid [{field.name}] crontab field value. It must be a numeric value between "
            f"{field.low} and {field.high} (all inclusive)."
        )
    for index, name in enumerate(field.names):
        if name.lower().startswith(text.lower()):
            return field.low + index
    raise ValueError(
        f"'{text}' is not a known value name. Use one of the following: {', '.join(field.names)}."
    )


def _integer(text: str, field: _Field) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > 20 or abs(int(text)) > _LARGEST_INTEGER:
        raise ValueError(f"'{text}' is not a valid [{field.name}] crontab field expression.")
    return int(text)


def _out_of_range(value: int, how: str, field: _Field) -> str:
    return (
        f"{value} is {how} allowable value for the [{field.name}] field. "
        f"Value must be between {field.low} and {field.high} (all inclusive)."
    )
