"""NCRONTAB expressions: which moments they name, and the next one after a given moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_LAST_YEAR_AHEAD = 40  # 29 February comes back to a weekday after 28 years, over 2100 after 40


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Sequence[str] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
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

    def next_after(self, moment: datetime) -> datetime | None:
        """First occurrence strictly later than `moment`, in its zone; None when there is none to come."""
        candidate = moment.replace(microsecond=0) + timedelta(seconds=1)
        last_year = moment.year + _LAST_YEAR_AHEAD
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
    """Parse five fields (second 0) or six (seconds first). Raises ValueError with the offending part."""
    parts = expression.split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != 6:
        raise ValueError(f"'{expression}' has {len(parts)} fields; five or six are needed.")
    fields = [_parse_field(text, field) for text, field in zip(parts, _FIELDS, strict=True)]
    return Ncrontab(*fields)


def _parse_field(text: str, field: _Field) -> frozenset[int]:
    return frozenset(value for part in text.split(",") for value in _parse_part(part, field))


def _parse_part(part: str, field: _Field) -> range:
    span, slash, step_text = part.partition("/")
    step = 1
    if slash:
        step = int(step_text) if step_text.isascii() and step_text.isdigit() else 0
        if step < 1:
            raise ValueError(f"'{part}' has no valid step for the {field.name}.")
    if span == "*":
        return range(field.low, field.high + 1, step)
    first_text, dash, last_text = span.partition("-")
    first = _parse_value(first_text, field)
    last = _parse_value(last_text, field) if dash else (field.high if slash else first)
    if first > last:
        first, last = last, first  # NCrontab swaps a reversed range, it does not wrap it
    return range(first, last + 1, step)


def _parse_value(text: str, field: _Field) -> int:
    if text.isascii() and text.isdigit():
        value = int(text)
        if not field.low <= value <= field.high:
            raise ValueError(f"{value} is no {field.name}; it goes from {field.low} to {field.high}.")
        return value
    if text:
        for index, name in enumerate(field.names):
            if name.startswith(text.lower()):
                return field.low + index
    raise ValueError(f"'{text}' is no {field.name}.")
