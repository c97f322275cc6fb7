"""Which instances a list or a purge is about."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from devhost.durable.history import Status, parse_utc, utc_text
from devhost.durable.records import Instance

_STATUS_BY_TEXT = {status.text.lower(): status for status in Status}


@dataclass(frozen=True, slots=True)
class Page:
    """Some instances, and the token that gets the next ones (empty at the end)."""

    instances: list[Instance]
    continuation: str


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
            top=top if top > 0 else 100,
        )

    def fits(self, instance: Instance) -> bool:
        """Whether an instance is meant."""
        return (
            (self.created_from is None or instance.created >= self.created_from)
            and (self.created_to is None or instance.created <= self.created_to)
            and (not self.statuses or instance.status in self.statuses)
            and instance.instance_id.startswith(self.prefix)
        )

    def apply(self, instances: list[Instance], continuation: str) -> Page:
        """The next `top` of those that fit, after the one that the token names."""
        after = base64.b64decode(continuation).decode() if continuation else ""
        fitting = [instance for instance in instances if self.fits(instance) and _place(instance) > after]
        page = fitting[: self.top]
        more = len(fitting) > len(page)
        return Page(page, base64.b64encode(_place(page[-1]).encode()).decode() if more else "")


def _place(instance: Instance) -> str:
    return f"{instance.created} {instance.instance_id}"


def _moment(text: str | None) -> str | None:
    # A plus sign that was not percent-encoded arrives as a space.
    return utc_text(parse_utc(text.replace(" 00:00", "+00:00"))) if text else None
