"""Which instances a list or a purge is about."""

import base64
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from devhost.durable.history import Status, parse_utc, utc_text
from devhost.durable.records import Instance

logger = logging.getLogger("devhost")
_STATUS_BY_TEXT = {status.text: status for status in Status} | {str(int(status)): status for status in Status}
_USUAL_PAGE, _LARGEST_PAGE = 100, 1000
_UNESCAPED_PLUS = re.compile(r" (\d\d:?\d\d)$")  # a plus sign that was not percent-encoded arrives as a space
_SHORT_YEAR = re.compile(r"^\d{1,3}(?=-)")  # Python's strftime writes the year 1 without its zeros


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Moments are UTC texts as the hub stores them."""

    created_from: str | None = None
    created_to: str | None = None
    statuses: frozenset[Status] = frozenset()
    prefix: str = ""
    top: int = _USUAL_PAGE

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "InstanceFilter":
        """Read a query string, names in any case.

        A value that means nothing counts as not given, as on the real host, and is named in the log:
        a purge with a misspelt `runtimeStatus` is a purge of every ended instance.
        """
        given = dict[str, str]()
        for key, value in query.items():  # a repeated name has several items
            if value:
                given[key.lower()] = ",".join(filter(None, (given.get(key.lower()), value)))
        names = [name.strip() for name in given.get("runtimestatus", "").split(",") if name.strip()]
        if any(name not in _STATUS_BY_TEXT for name in names):
            _note_ignored("runtimeStatus")
        return cls(
            created_from=_moment_text(given, "createdTimeFrom"),
            created_to=_moment_text(given, "createdTimeTo"),
            statuses=frozenset(_STATUS_BY_TEXT[name] for name in names if name in _STATUS_BY_TEXT),
            prefix=given.get("instanceidprefix", ""),
            top=page_size(given),
        )

    def sql(self) -> tuple[str, list[str | int]]:
        """Condition on the hub's table of instances, and the values of its question marks."""
        conditions, values = ["1"], list[str | int]()
        if self.created_from is not None:
            conditions.append("created >= ?")
            values.append(self.created_from)
        if self.created_to is not None:
            conditions.append("created <= ?")
            values.append(self.created_to)
        if self.statuses:
            conditions.append(f"status IN ({','.join('?' * len(self.statuses))})")
            values += [int(status) for status in self.statuses]
        if self.prefix:
            conditions.append("substr(instance_id, 1, ?) = ?")
            values += [len(self.prefix), self.prefix]
        return " AND ".join(conditions), values


def place_of(instance: Instance) -> tuple[str, str]:
    """Where an instance stands in the order of all."""
    return instance.created, instance.instance_id


def read_token(token: str) -> tuple[str, str]:
    """The place that a continuation token names; an empty one is before all. Raises ValueError."""
    try:
        created, _, instance_id = base64.b64decode(token, validate=True).decode().partition(" ")
    except ValueError:
        raise ValueError("The continuation token is not one of this host.") from None
    return created, instance_id


def write_token(instance: Instance) -> str:
    """Token that gets the instances after this one."""
    return base64.b64encode(" ".join(place_of(instance)).encode()).decode()


def page_size(query: Mapping[str, str]) -> int:
    """How many of a list one answer holds (`top`)."""
    given = next((value for name, value in query.items() if name.lower() == "top" and value), None)
    if given is None:
        return _USUAL_PAGE
    if not re.fullmatch(r"\s*\+?[0-9]{1,9}\s*", given) or int(given) == 0:
        _note_ignored("top")
        return _USUAL_PAGE
    return min(int(given), _LARGEST_PAGE)


def query_moment(name: str, text: str | None) -> datetime | None:
    """A moment of the query, in UTC when it names no zone; None when it is not given or means nothing."""
    if not text:
        return None
    text = _SHORT_YEAR.sub(lambda year: year[0].zfill(4), _UNESCAPED_PLUS.sub(r"+\1", text))
    try:
        return parse_utc(text).astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: its zone takes it out of the range of dates
        _note_ignored(name)
        return None


def _moment_text(given: Mapping[str, str], name: str) -> str | None:
    moment = query_moment(name, given.get(name.lower()))
    return None if moment is None else utc_text(moment)


def _note_ignored(name: str) -> None:
    logger.warning("The query's %s is not understood and is ignored, as on the real host.", name)
