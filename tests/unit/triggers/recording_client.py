"""A durable client that records what it starts, as the host would keep it."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df

from agent.jobs.definition import Job
from agent.task_hub import from_task_hub


class Died(BaseException):
    """The process dies here: nothing that it would do about an error is done."""


class RecordingDurableClient:
    """``started``: instance ids in the order of their starts. ``dies_after_start``: as if the process did.

    ``begin``: the first step of a job, done at once. ``raised``: events, with the ids of their instances.
    ``statuses``: of those that have one but Running.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.orchestrators: list[str] = []
        self.given: list[Any] = []
        self.purged: list[tuple[Any, Any, Any]] = []
        self.dies_after_start = False
        self.raised: list[tuple[str, str]] = []
        self.statuses: dict[str, df.OrchestrationRuntimeStatus] = {}
        self.is_down = False
        self.begin: Callable[[Job], Awaitable[Any]] | None = None

    async def get_status(self, instance_id: str) -> SimpleNamespace:
        if instance_id not in self.started:
            return SimpleNamespace(instance_id=None, runtime_status=None)
        running = df.OrchestrationRuntimeStatus.Running
        return SimpleNamespace(
            instance_id=instance_id, runtime_status=self.statuses.get(instance_id, running)
        )

    async def raise_event(self, instance_id: str, event_name: str) -> None:
        """As the SDK does it: a bare Exception for whatever is not taken."""
        if self.is_down or instance_id not in self.started or instance_id in self.statuses:
            raise Exception(f"No instance with ID {instance_id} found.")
        self.raised.append((instance_id, event_name))

    async def start_new(self, name: str, instance_id: str, given: Any) -> str:
        assert name in ("follow_up", "approval")
        self.orchestrators.append(name)
        self.started.append(instance_id)
        self.given.append(given)
        if self.begin:
            await self.begin(from_task_hub(given["job"], Job))
        if self.dies_after_start:
            raise Died
        return instance_id

    async def purge_instance_history_by(self, start: Any, end: Any, statuses: Any) -> SimpleNamespace:
        self.purged.append((start, end, statuses))
        return SimpleNamespace(instances_deleted=2)
