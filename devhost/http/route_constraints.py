"""The constraints of ASP.NET route templates: `{id:int}`, `{name:length(1,8)}` and the others."""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

Constraint = Callable[[str], bool]

_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(\d[\d,]*(\.\d*)?|\.\d+)\s*[+-]?\s*", re.ASCII)
_FLOAT = re.compile(r"\s*[+-]?(\d[\d,]*(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_NOT_FINITE = ("nan", "infinity", "-infinity", "+infinity", "-nan", "+nan", "∞", "-∞")
_GUID = re.compile(
    r"\s*(?:[0-9a-f]{32}|(?P<open>[{(])?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?P<close>[})])?)\s*",
    re.IGNORECASE,
)
_ALPHA = re.compile(r"[a-z]*", re.IGNORECASE | re.ASCII)
_MOST_DECIMAL = 79_228_162_514_264_337_593_543_950_335
# What .NET's invariant culture reads beside ISO 8601, as far as people write it in paths.
_DATES = (
    "%m/%d/%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %B %Y",
    "%d %b %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%Y-%m",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")


def constraint_of(text: str) -> Constraint:
    """The constraint that `text` names, with its arguments. Raises ValueError when there is none such."""
    name, opening, rest = text.partition("(")
    argument = rest[:-1] if opening and rest.endswith(")") else None
    if opening and argument is None:
        name = text  # as in ASP.NET: without the closing parenthesis all of it is the name
    name = name.strip().lower()
    if name == "regex" and argument is not None:
        return _regex(argument)
    if argument is None and name in _PLAIN:
        return _PLAIN[name]
    if argument is not None and name in _BOUNDED:
        return _BOUNDED[name](*_whole_numbers(text, argument))
    raise ValueError(f"the constraint '{text}' is not known.")


def _whole_numbers(text: str, argument: str) -> list[int]:
    try:
        return [int(part) for part in argument.split(",")]
    except ValueError:
        raise ValueError(f"the constraint '{text}' takes whole numbers.") from None


def _regex(pattern: str) -> Constraint:
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"the constraint 'regex({pattern})' is no regular expression: {error}.") from None
    return lambda value: compiled.search(value) is not None


def _integer(value: str, bits: int) -> int | None:
    if not _INTEGER.fullmatch(value) or len(value) > 40:
        return None
    number = int(value)
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else None


def _is_int(value: str) -> bool:
    return _integer(value, 32) is not None


def _is_long(value: str) -> bool:
    return _integer(value, 64) is not None


def _is_bool(value: str) -> bool:
    return value.strip("\0 \t\r\n").lower() in ("true", "false")


def _is_decimal(value: str) -> bool:
    if not _DECIMAL.fullmatch(value):
        return False
    number = value.strip().strip("+-").strip()
    has_two_signs = value.strip()[0] in "+-" and value.strip()[-1] in "+-"
    return not has_two_signs and float(number.replace(",", "")) <= _MOST_DECIMAL


def _is_float(value: str) -> bool:
    return _FLOAT.fullmatch(value) is not None or value.strip().lower() in _NOT_FINITE


def _is_guid(value: str) -> bool:
    found = _GUID.fullmatch(value)
    return found is not None and (found["open"] or "", found["close"] or "") in (
        ("", ""),
        ("{", "}"),
        ("(", ")"),
    )


def _is_datetime(value: str) -> bool:
    text = value.strip()
    with suppress(ValueError):
        datetime.fromisoformat(text)
        return "-" in text  # 20260101 is no date for .NET
    for date in _DATES:
        for time in _TIMES:
            with suppress(ValueError):
                datetime.strptime(text, date + time)
                return True
    return False


def _is_file_name(value: str) -> bool:
    name = value.rpartition("/")[2]
    return "." in name and not name.endswith(".")


def _length(least: int, most: int | None = None) -> Constraint:
    most = least if most is None else most
    if not 0 <= least <= most:
        raise ValueError(f"the constraint 'length({least},{most})' has no room.")
    return lambda value: least <= len(value) <= most


def _between(least: float, most: float) -> Constraint:
    if least > most:
        raise ValueError(f"the constraint 'range({least},{most})' has no room.")

    def fits(value: str) -> bool:
        number = _integer(value, 64)
        return number is not None and least <= number <= most

    return fits


_PLAIN: dict[str, Constraint] = {
    "int": _is_int,
    "long": _is_long,
    "bool": _is_bool,
    "decimal": _is_decimal,
    "double": _is_float,
    "float": _is_float,
    "guid": _is_guid,
    "datetime": _is_datetime,
    "alpha": lambda value: _ALPHA.fullmatch(value) is not None,
    "required": lambda value: value != "",
    "file": _is_file_name,
    "nonfile": lambda value: not _is_file_name(value),
}


def _one(build: Callable[[int], Constraint]) -> Callable[..., Constraint]:
    def build_of(*numbers: int) -> Constraint:
        if len(numbers) != 1:
            raise ValueError("the constraint takes one number.")
        return build(numbers[0])

    return build_of


def _range(*numbers: int) -> Constraint:
    if len(numbers) != 2:
        raise ValueError("the constraint 'range' takes two numbers.")
    return _between(*numbers)


def _length_of(*numbers: int) -> Constraint:
    if len(numbers) not in (1, 2):
        raise ValueError("the constraint 'length' takes one number or two.")
    return _length(*numbers)


_BOUNDED: dict[str, Callable[..., Constraint]] = {
    "min": _one(lambda least: _between(least, math.inf)),
    "max": _one(lambda most: _between(-math.inf, most)),
    "range": _range,
    "minlength": _one(lambda least: _length(least, 1 << 31)),
    "maxlength": _one(lambda most: _length(0, most)),
    "length": _length_of,
}
