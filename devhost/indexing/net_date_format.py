""".NET's custom format strings for a moment, in the invariant culture."""

import re
from datetime import datetime

_TOKEN = re.compile(r"y+|M+|d+|H+|h+|m+|s+|f+|F+|t+|K|z+|'[^']*'|\"[^\"]*\"|\\.|.", re.DOTALL)
_STANDARD = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "o": "yyyy-MM-ddTHH:mm:ss.fffffffK",
    "r": "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
    "s": "yyyy-MM-ddTHH:mm:ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy-MM-dd HH:mm:ss'Z'",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def format_moment(moment: datetime, form: str) -> str:
    """A moment in UTC as `DateTime.ToString(form)` writes it. Raises ValueError for an unknown letter."""
    if len(form) == 1:
        standard = _STANDARD.get(form) or _STANDARD.get({"O": "o", "R": "r"}.get(form, ""))
        if standard is None:
            raise ValueError(f"'{form}' is no format of a date.")
        form = standard
    return "".join(_part(moment, match[0]) for match in _TOKEN.finditer(form))


def _part(moment: datetime, token: str) -> str:
    letter, length = token[0], len(token)
    if letter in "'\"":
        return token[1:-1]
    if letter in "yMdHhms":
        return _number_or_name(moment, letter, length)
    fraction = f"{moment.microsecond:06}0"[:length]
    texts = {
        "\\": token[1:],
        "f": fraction,
        "F": fraction.rstrip("0"),
        "t": ("AM" if moment.hour < 12 else "PM")[:length],
        "K": "Z",
        "z": {1: "+0", 2: "+00"}.get(length, "+00:00"),
    }
    return texts.get(letter, token)


def _number_or_name(moment: datetime, letter: str, length: int) -> str:
    if letter in "Md" and length > 2:
        name = _MONTHS[moment.month - 1] if letter == "M" else _DAYS[moment.weekday()]
        return name if length > 3 else name[:3]
    numbers = {
        "y": moment.year % 100 if length < 3 else moment.year,
        "M": moment.month,
        "d": moment.day,
        "H": moment.hour,
        "h": moment.hour % 12 or 12,
        "m": moment.minute,
        "s": moment.second,
    }
    return str(numbers[letter]).zfill(length)
