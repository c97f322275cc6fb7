""".NET TimeSpan text, as host.json, timer schedules and durable payloads write it."""

import re
from collections.abc import Sequence
from datetime import timedelta

_SHAPE = re.compile(r"(?P<sign>-?)(?P<body>\d+(?:(?::\.|[:.])\d+){0,4})", re.ASCII)
# What stands between the numbers, and which numbers these can be; the first reading whose numbers fit counts.
# So `24:00:00`, whose 24 is no hour, is 24 days.
_READINGS: dict[str, Sequence[str]] = {
    "": ("d",),
    ":": ("hm",),
    "::": ("hms", "dhm"),
    ".:": ("dhm",),
    "::.": ("hmf",),
    ".::": ("dhms",),
    ":::": ("dhms",),
    "::|.": ("hmsf",),
    ".::.": ("dhmf",),
    ":::.": ("dhmf",),
    ".::|.": ("dhmsf",),
    ":::|.": ("dhmsf",),
}
_LIMITS = {"d": 10_675_199, "h": 23, "m": 59, "s": 59}
_MOST_DIGITS = 8
_TICK_DIGITS = 7


def parse_timespan(text: str) -> timedelta:
    """Read `d`, `hh:mm`, `hh:mm:ss`, `d.hh:mm`, `d.hh:mm:ss`, `d:hh:mm:ss`; seconds with up to 7 decimals.

    .NET reads `24:00:00` as 24 *days*, since 24 is no hour of a day; so does this. Raises ValueError.
    """
    match = _SHAPE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a TimeSpan.")
    numbers = re.findall(r"\d+", match["body"])
    separators = re.findall(r":\.|[:.]", match["body"])
    for reading in _READINGS.get(_key(separators), ()):
        span = _span(dict(zip(reading, numbers, strict=True)))
        if span is not None:
            return -span if match["sign"] else span
    raise ValueError(f"'{text}' is not a TimeSpan: it has no such form, or a part is out of its range.")


def _key(separators: list[str]) -> str:
    """The separators as one text; a bar before the point that seconds have, unlike the `:.` of minutes."""
    if len(separators) > 1 and separators[-1] == ".":
        return "".join(separators[:-1]) + "|."
    return "".join(separators)


def _span(parts: dict[str, str]) -> timedelta | None:
    """The span of named numbers; None when one of them is too large."""
    decimals = parts.pop("f", "")
    if len(decimals) > _TICK_DIGITS:
        return None
    values = {name: int(number) for name, number in parts.items() if len(number) <= _MOST_DIGITS}
    if len(values) < len(parts) or any(value > _LIMITS[name] for name, value in values.items()):
        return None
    return timedelta(
        days=values.get("d", 0),
        hours=values.get("h", 0),
        minutes=values.get("m", 0),
        seconds=values.get("s", 0),
        microseconds=int(decimals.ljust(_TICK_DIGITS, "0")) // 10,
    )
