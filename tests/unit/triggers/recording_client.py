"""A durable client that records what it starts, as the host would keep it."""

from types import SimpleNamespace
from typing import Any


class RecordingDurableClient:
    """``started``: instance ids in the order of their starts. ``dies_after_start``: as if the process did."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.given: list[Any] = []
        self.purged: list[tuple[Any, Any, Any]] = []
        self.dies_after_start = False

    async def get_status(self, instance_id: str) -> SimpleNamespace:
        return SimpleNamespace(instance_id=instance_id if instance_id in self.started else None)

    async def start_new(self, name: str, instance_id: str, given: Any) -> str:
        assert name == "follow_up"
        self.started.append(instance_id)
        self.given.append(given)
        if self.dies_after_start:
            raise ConnectionResetError("the process dies here")
        return instance_id

    async def purge_instance_history_by(self, start: Any, end: Any, statuses: Any) -> SimpleNamespace:
        self.purged.append((start, end, statuses))
        return SimpleNamespace(instances_deleted=2)
