"""Which instances a list or a purge is about."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from devhost.durable.history import Status, parse_utc, utc_text
from devhost.durable.records import Instance

_STATUS_BY_TEXT = {status.text.lower(): status for status in Status}
_LARGEST_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class InstanceFilter:
    """Moments are UTC texts as the hub stores them."""

    created_from: str | None = None
    created_to: str | None = None
    statuses: frozenset[Status] = frozenset()
    prefix: str = ""
    top: int = 100

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "InstanceFilter":
        """Read a query string, names in any case. Raises ValueError on a value that means nothing."""
        given = {name.lower(): value for name, value in query.items() if value}
        names = [name.strip().lower() for name in given.get("runtimestatus", "").split(",") if name.strip()]
        unknown = [name for name in names if name not in _STATUS_BY_TEXT]
        if unknown:
            raise ValueError(f"Unknown runtimeStatus: {', '.join(unknown)}.")
        top = int(given.get("top", "100"))
        return cls(
            created_from=_moment(given.get("createdtimefrom")),
            created_to=_moment(given.get("createdtimeto")),
            statuses=frozenset(_STATUS_BY_TEXT[name] for name in names),
            prefix=given.get("instanceidprefix", ""),
            top=min(top, _LARGEST_PAGE) if top > 0 else 100,
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


def _moment(text: str | None) -> str | None:
    if not text:
        return None
    # A plus sign that was not percent-encoded arrives as a space.
    try:
        return utc_text(parse_utc(text.replace(" 00:00", "+00:00")))
    except OverflowError:
        raise ValueError(f"'{text}' is out of the range of dates.") from None
