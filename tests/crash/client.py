"""The caller of a host that keeps dying: asks again until it is told that its wish was accepted."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from tests.crash.evidence import ENDED
from tests.crash.plan import PlannedEvent, PlannedInstance

_AGAIN_SECONDS = 0.2
_GONE = (aiohttp.ClientError, OSError, TimeoutError)


class Refusal(Exception):
    """The host answered what it must not."""


class Client:
    """Speaks to the management API; ``base`` gives the host's origin."""

    def __init__(self, session: aiohttp.ClientSession, base: Callable[[], str]) -> None:
        self._session, self._base = session, base

    async def _ask(self, method: str, path: str, **options: Any) -> tuple[int, bytes, str]:
        """Status, body and continuation token; raises one of _GONE when the host dies meanwhile."""
        url = f"{self._base()}/runtime/webhooks/durabletask/{path}"
        async with self._session.request(method, url, **options) as answer:
            return answer.status, await answer.read(), answer.headers.get("x-ms-continuation-token", "")

    async def _until_answered(self, method: str, path: str, **options: Any) -> tuple[int, bytes, str]:
        while True:
            try:
                return await self._ask(method, path, **options)
            except _GONE:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def start(self, planned: PlannedInstance) -> None:
        """Start an instance once: one whose answer was lost may run, or even have ended. Raises Refusal."""
        path = f"orchestrators/{planned.orchestrator}/{planned.instance_id}"
        while True:
            known, _, _ = await self._until_answered("GET", f"instances/{planned.instance_id}")
            if known != 404:
                return
            try:
                status, body, _ = await self._ask("POST", path, json=json.dumps(planned.given))
            except _GONE:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if status == 202:
                return
            raise Refusal(f"the start of {planned.instance_id} was answered {status}: {body!r}")

    async def raise_event(self, instance_id: str, event: PlannedEvent) -> None:
        """Send an event until it is accepted; 410 is well after an answer that was lost. Raises Refusal."""
        path, was_sent = f"instances/{instance_id}/raiseEvent/{event.name}", False
        while True:
            try:
                status, body, _ = await self._ask("POST", path, json=event.value)
            except _GONE:
                was_sent = True
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if status == 202 or (status == 410 and was_sent):
                return
            raise Refusal(f"{event.name} for {instance_id} was answered {status}: {body!r}")

    async def has_ended(self, instance_id: str) -> bool:
        """Whether an instance is known and has ended."""
        status, body, _ = await self._until_answered("GET", f"instances/{instance_id}")
        return status == 200 and json.loads(body)["runtimeStatus"] in ENDED

    async def instances(self, **query: str) -> list[dict[str, Any]]:
        """All pages of a list."""
        return await self._pages("instances/", {"top": "1000", **query})

    async def entities(self) -> dict[str, Any]:
        """The state of each counter, by key."""
        query = {"top": "1000", "fetchState": "true"}
        found = await self._pages("entities/counter", query)
        return {one["entityId"]["key"]: one["state"] for one in found}

    async def _pages(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        found, token = list[dict[str, Any]](), ""
        while True:
            headers = {"x-ms-continuation-token": token} if token else {}
            status, body, token = await self._until_answered("GET", path, params=query, headers=headers)
            if status != 200:
                raise Refusal(f"{path} was answered {status}: {body!r}")
            found += json.loads(body)
            if not token:
                return found
