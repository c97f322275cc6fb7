"""Instances and entities for the page: a list of lines, and one with its texts and its timeline."""

from collections.abc import Mapping
from typing import Any

from devhost.durable.history import Status
from devhost.durable.instance_overview import InstanceLine
from devhost.durable.task_hub import TaskHub
from devhost.page.remembered import Remembered
from devhost.page.timeline import timeline

_PAGE = 50
_MOST_EVENTS = 2000
_LONGEST_TEXT = 50_000
_STATUS_BY_TEXT = {status.text: status for status in Status}


class InstancePage:
    """Reads the hub; changes nothing."""

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub
        self._counts = Remembered[None, dict[str, int]](lambda _: self._counted())
        self._lines = Remembered[tuple[tuple[str, str], ...], dict[str, Any]](
            lambda query: self._listed(dict(query))
        )

    def counts(self) -> dict[str, int]:
        """How many instances stand where, by the name of the status."""
        return self._counts(None)

    def _counted(self) -> dict[str, int]:
        return {status.text: count for status, count in sorted(self._hub.counts_by_status().items())}

    def entity_count(self) -> int:
        """How many entities exist."""
        return self._hub.entity_count()

    def lines(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of instances, newest first; `next` is for the query's `before`, empty on the last page."""
        return self._lines(tuple(query.items()))

    def _listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        names = [name for name in query.get("status", "").split(",") if name in _STATUS_BY_TEXT]
        created, _, instance_id = query.get("before", "").partition(" ")
        found = self._hub.newest_instances(
            statuses=[_STATUS_BY_TEXT[name] for name in names],
            prefix=query.get("prefix", ""),
            name=query.get("name", ""),
            roots_only=query.get("roots") == "true",
            before=(created, instance_id) if created else None,
            limit=_PAGE + 1,
        )
        page = found[:_PAGE]
        following = f"{page[-1].created} {page[-1].instance_id}" if len(found) > _PAGE else ""
        return {"items": [_line(line) for line in page], "next": following}

    def instance(self, instance_id: str) -> dict[str, Any] | None:
        """One instance with all that there is to see, or None."""
        found = self._hub.instance(instance_id)
        if found is None:
            return None
        events = self._hub.last_events(instance_id, limit=_MOST_EVENTS + 1)
        line = InstanceLine(
            found.instance_id,
            found.name,
            found.status,
            found.created,
            found.updated,
            found.parent.instance_id if found.parent else None,
        )
        return {
            **_line(line),
            "executionId": found.execution_id,
            "input": _cut(found.input_text),
            "output": _cut(found.output),
            "customStatus": _cut(found.custom_status),
            "children": [_line(child) for child in self._hub.children(instance_id)],
            "timeline": timeline(events[-_MOST_EVENTS:]),
            "isCut": len(events) > _MOST_EVENTS,
        }

    def entities(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of entities in the order of their ids, which are `@name@key`."""
        prefix = query.get("prefix", "")
        prefix = prefix if not prefix or prefix.startswith("@") else f"@{prefix}"
        found = self._hub.entities(prefix, after=query.get("after", ""), limit=_PAGE + 1)
        items = [
            {"id": entity.entity_id, "state": _cut(entity.state), "updated": entity.updated}
            for entity in found[:_PAGE]
        ]
        return {"items": items, "next": items[-1]["id"] if len(found) > _PAGE else ""}


def _line(line: InstanceLine) -> dict[str, Any]:
    return {
        "id": line.instance_id,
        "name": line.name,
        "status": line.status.text,
        "created": line.created,
        "updated": line.updated,
        "parentId": line.parent_id,
    }


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]} … ({len(text)} characters)"
