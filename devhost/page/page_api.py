"""Routes what is asked below /devhost: the page's files, and the API that only the page may call."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from devhost.durable.client_binding import WEBHOOK_PATH
from devhost.page.function_page import FunctionPage
from devhost.page.instance_page import InstancePage
from devhost.page.queue_page import QueuePage, QueueUnreachable
from devhost.page.request_guard import RequestGuard
from devhost.page.static_files import SAFETY_HEADERS, static_file

Api = Callable[[web.Request, str], Awaitable[web.StreamResponse | None]]
_OPERATIONS = ("terminate", "suspend", "resume", "rewind", "restart")


class PageApi:
    """Answers requests below /devhost.

    What changes an instance, or runs a function, is handed to the management API and the admin API, so it is
    done here as it is done there.
    """

    def __init__(
        self,
        guard: RequestGuard,
        functions: FunctionPage,
        instances: InstancePage,
        queues: QueuePage,
        *,
        title: str,
        hub_name: str,
        management: Api,
        admin: Api,
    ) -> None:
        self._guard = guard
        self._functions, self._instances, self._queues = functions, instances, queues
        self._title, self._hub_name = title, hub_name
        self._management, self._admin = management, admin
        self._started = time.time()

    async def handle(self, request: web.Request, raw_path: str) -> web.StreamResponse | None:
        """Answer, or None when the path is not below /devhost."""
        parts = raw_path.strip("/").split("/")
        if parts[0].lower() != "devhost":
            return None
        if len(parts) > 1 and parts[1] == "api":
            return await self._call(request, [unquote(part) for part in parts[2:]])
        refusal = self._guard.refusal_of_page(request)
        if refusal is not None:
            return _problem(403, refusal)
        if request.method not in ("GET", "HEAD"):
            return _problem(404, "There is no such page.")
        found = static_file("page.html" if len(parts) == 1 else "/".join(parts[1:]))
        return found or _problem(404, "There is no such page.")

    async def _call(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        refusal = self._guard.refusal_of_call(request)
        if refusal is not None:
            return _problem(403, refusal)
        if not self._guard.has_key(request):
            return _problem(401, "The master key of this host is needed.")
        try:
            answer = await self._route(request, parts)
        except QueueUnreachable as error:
            answer = _problem(503, str(error))
        return answer

    async def _route(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        if parts[:1] == ["queues"]:
            return await self._queue(request, parts[1:])
        if request.method != "GET":
            return await self._handed_on(request)
        found: dict[str, Any] | None = None
        match parts:
            case ["overview"]:
                found = self._overview()
            case ["instances"]:
                found = self._instances.lines(request.query)
            case ["instances", instance_id]:
                found = self._instances.instance(instance_id)
            case ["entities"]:
                found = self._instances.entities(request.query)
        return _json_or_404(found)

    async def _queue(self, request: web.Request, parts: list[str]) -> web.Response:
        found: dict[str, Any] | None = None
        match (request.method, parts):
            case ("GET", []):
                found = {"items": await self._queues.queues()}
            case ("GET", [name, "poison"]):
                messages = await self._queues.poison(name)
                found = None if messages is None else {"items": messages}
            case ("POST", [name, "poison", "resubmit"]):
                moved = await self._queues.resubmit(name, request.query.get("message"))
                found = None if moved is None else {"moved": moved}
        return _json_or_404(found)

    async def _handed_on(self, request: web.Request) -> web.StreamResponse:
        """What the other APIs do, with the path as it was encoded."""
        raw = request.rel_url.raw_path.strip("/").split("/")[2:]
        answer: web.StreamResponse | None = None
        match (request.method, raw):
            case ("POST", ["instances", instance_id, operation]) if operation in _OPERATIONS:
                answer = await self._management(
                    request, f"{WEBHOOK_PATH}/instances/{instance_id}/{operation}"
                )
            case ("POST", ["instances", instance_id, "raiseEvent", name]):
                path = f"{WEBHOOK_PATH}/instances/{instance_id}/raiseEvent/{name}"
                answer = await self._management(request, path)
            case ("DELETE", ["instances", instance_id]):
                answer = await self._management(request, f"{WEBHOOK_PATH}/instances/{instance_id}")
            case ("POST", ["timers", name, "fire"]) if self._functions.is_timer(unquote(name)):
                answer = await self._admin(request, f"/admin/functions/{name}")
        return answer or _problem(404, "There is nothing of this name.")

    def _overview(self) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "title": self._title,
            "hub": self._hub_name,
            "started": self._started,
            "now": now.timestamp(),
            "error": self._functions.app_error(),
            "functions": self._functions.functions(),
            "timers": self._functions.timers(now),
            "counts": self._instances.counts(),
            "entities": self._instances.entity_count(),
        }


def _json_or_404(body: dict[str, Any] | None) -> web.Response:
    if body is None:
        return _problem(404, "There is nothing of this name.")
    return web.json_response(body, headers=SAFETY_HEADERS)


def _problem(status: int, detail: str) -> web.Response:
    body = {"type": "about:blank", "status": status, "detail": detail}
    return web.json_response(
        body, status=status, content_type="application/problem+json", headers=SAFETY_HEADERS
    )
