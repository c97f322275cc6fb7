"""The host's own API below /admin: ping, status, the list of functions, and running one by hand."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from azure.functions.meta import Datum

from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import Invoker
from devhost.queue.queue_message import queue_metadata
from devhost.storable_text import storable
from devhost.timer.timer_listener import timer_datum

logger = logging.getLogger("devhost")


class AdminApi:
    """Answers requests below /admin; everyone may call it, as under `func start`."""

    def __init__(self, app: LoadedApp, invoker: Invoker, *, errors: list[str], prefix: str) -> None:
        self._app, self._invoker, self._errors, self._prefix = app, invoker, errors, prefix
        self._by_name = {function.name.lower(): function for function in app.functions}
        self._started = time.monotonic()
        self._runs: set[asyncio.Task[Any]] = set()

    async def handle(self, request: web.Request, raw_path: str) -> web.Response | None:
        """Answer, or None when the path is not below /admin."""
        parts = raw_path.strip("/").split("/")
        if parts[0].lower() != "admin":
            return None
        answer = web.Response(status=404)
        match (request.method, [part.lower() for part in parts[1:]]):
            case ("GET" | "POST", ["host", "ping"]):
                answer = web.Response()
            case ("GET", ["host", "status"]):
                answer = web.json_response(self._status())
            case ("GET", ["functions"]):
                views = [self._view(function, request) for function in self._app.functions]
                answer = web.json_response(views)
            case ("GET", ["functions", name]) if name in self._by_name:
                answer = web.json_response(self._view(self._by_name[name], request))
            case ("POST", ["functions", name]) if name in self._by_name:
                answer = await self._run(self._by_name[name], request)
        return answer

    async def stop(self, grace_seconds: float) -> None:
        """Wait for the runs that were begun by hand, then cancel them."""
        if self._runs:
            _, late = await asyncio.wait(self._runs, timeout=grace_seconds)
            for task in late:
                task.cancel()

    def _status(self) -> dict[str, Any]:
        return {
            "id": "devhost",
            "state": "Error" if self._errors else "Running",
            "version": "4.0.0.0",
            "versionDetails": "devhost",
            "processUptime": int((time.monotonic() - self._started) * 1000),
            "errors": self._errors,
        }

    def _view(self, function: FunctionDefinition, request: web.Request) -> dict[str, Any]:
        origin = f"http://{request.host}"
        is_http = function.trigger.type == "httpTrigger"
        url = f"{origin}/{function.http_path(self._prefix)}" if is_http else None
        return {
            "name": function.name,
            "href": f"{origin}/admin/functions/{function.name}",
            "invoke_url_template": url,
            "language": "python",
            "config": {"bindings": [dict(binding.properties) for binding in function.bindings]},
            "isDisabled": function.is_disabled,
        }

    async def _run(self, function: FunctionDefinition, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except (ValueError, LookupError, RecursionError):  # LookupError: no such charset
            body = None
        text = body.get("input", "") if isinstance(body, dict) else None
        if not isinstance(text, str):
            return web.json_response({"Message": 'The body must be {"input": "..."}.'}, status=400)
        text = storable(text)
        if function.trigger.type == "activityTrigger" and not _is_json(text):
            return web.json_response({"Message": "The input of an activity must be JSON."}, status=400)
        values: Mapping[str, Datum] = {
            "queueTrigger": Datum(text, "string"),
            "timerTrigger": timer_datum(None, is_past_due=False),
            "activityTrigger": Datum(text, "string"),
            "httpTrigger": _http_datum(text, request),
        }
        value = values.get(function.trigger.type)
        if value is None:
            reason = f"A function with the trigger {function.trigger.type} cannot be run by hand."
            return web.json_response({"Message": reason}, status=400)
        metadata = queue_metadata() if function.trigger.type == "queueTrigger" else {}
        task = asyncio.get_running_loop().create_task(self._invoker.invoke(function, value, metadata))
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        return web.Response(status=202)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _http_datum(body: str, request: web.Request) -> Datum:
    return Datum(
        {
            "method": Datum("POST", "string"),
            "url": Datum(str(request.url), "string"),
            "headers": {},
            "query": {},
            "params": {},
            "body": Datum(body.encode(), "bytes"),
        },
        "http",
    )
