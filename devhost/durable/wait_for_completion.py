"""`?timeout=&pollingInterval=`: a start that waits for the end of its instance."""

import asyncio
import math
import time
from contextlib import suppress

from aiohttp import web

from devhost.durable.management_answer import Refused, bad_argument
from devhost.durable.records import Instance
from devhost.durable.request_body import parameter
from devhost.durable.task_hub import TaskHub

_SHORTEST_POLL_SECONDS = 0.02
_LONGEST_SECONDS = 24 * 60 * 60.0


def wanted_wait(request: web.Request) -> tuple[float, float] | None:
    """Seconds to wait and seconds between two looks, when the query gives both; raises Refused (400)."""
    timeout, interval = _seconds(request, "timeout"), _seconds(request, "pollingInterval")
    if timeout is None or interval is None:
        return None
    if not 0 <= interval <= timeout:
        raise Refused(
            bad_argument(f"Total timeout {timeout:g} should be bigger than retry timeout {interval:g}")
        )
    return min(timeout, _LONGEST_SECONDS), interval


def _seconds(request: web.Request, name: str) -> float | None:
    try:
        seconds = float(parameter(request, name) or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


class CompletionWaits:
    """The requests that wait for the end of an instance; a host that stops lets none of them wait on."""

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Have all that wait answer as if their time were up."""
        self._closing.set()

    async def ended_instance(self, instance_id: str, patience: float, interval: float) -> Instance | None:
        """The instance once it has ended, or None when it has not within `patience` seconds."""
        deadline = time.monotonic() + patience
        while True:
            instance = self._hub.instance(instance_id)
            if instance is not None and instance.status.is_final:
                return instance
            left = deadline - time.monotonic()
            if left <= 0 or self._closing.is_set():
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(max(min(interval, left), _SHORTEST_POLL_SECONDS)):
                    await self._closing.wait()
