""".NET TimeSpan text, as host.json, timer schedules and durable payloads write it."""

import re
from datetime import timedelta

_TIMESPAN = re.compile(
    r"^\s*(?P<sign>-)?(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d+)(?::(?P<seconds>\d+)(?:\.(?P<ticks>\d{1,7}))?)?\s*$"
)


def parse_timespan(text: str) -> timedelta:
    """Read `hh:mm`, `hh:mm:ss[.fffffff]`, `d.hh:mm:ss` or a bare number of days.

    .NET reads `24:00:00` as 24 *days*, since 24 is no hour of a day; so does this. Raises ValueError.
    """
    if re.fullmatch(r"\s*-?\d+\s*", text):
        return timedelta(days=int(text))
    match = _TIMESPAN.match(text)
    if match is None:
        raise ValueError(f"'{text}' is not a TimeSpan.")
    hours, minutes, seconds = int(match["hours"]), int(match["minutes"]), int(match["seconds"] or 0)
    days = int(match["days"] or 0)
    if hours > 23 and match["days"] is None and match["seconds"] is not None and match["ticks"] is None:
        # "24:00:00": the first number cannot be hours, so .NET takes the three as days, hours and minutes.
        days, hours, minutes, seconds = hours, minutes, seconds, 0
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(f"'{text}' is not a TimeSpan: a part is out of its range.")
    ticks = int((match["ticks"] or "").ljust(7, "0"))
    span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=ticks // 10)
    return -span if match["sign"] else span
