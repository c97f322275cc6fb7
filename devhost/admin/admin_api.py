"""The host's own API below /admin: ping, status, the list of functions, and running one by hand."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from azure.functions.meta import Datum

from devhost.http.http_request import url_of
from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import Invoker
from devhost.queue.queue_message import queue_metadata
from devhost.storable_text import storable
from devhost.timer.timer_listener import timer_datum

logger = logging.getLogger("devhost")


class AdminApi:
    """Answers requests below /admin. Who may do so is not its business but `Authorization`'s."""

    def __init__(
        self,
        app: LoadedApp,
        invoker: Invoker,
        *,
        errors: Sequence[str],
        prefix: str,
        script_root: str = "",
        extension_bundle: Mapping[str, Any] | None = None,
    ) -> None:
        self._app, self._invoker, self._errors, self._prefix = app, invoker, errors, prefix
        self._script_root, self._extension_bundle = script_root, extension_bundle
        self._by_name = {function.name.lower(): function for function in app.functions}
        self._refused = {name.lower(): reason for name, reason in app.refused.items()}
        self._started = time.monotonic()
        self._runs: set[asyncio.Task[Any]] = set()

    async def handle(self, request: web.Request, raw_path: str) -> web.Response | None:
        """Answer, or None when the path is not below /admin."""
        parts = [unquote(part).lower() for part in raw_path.strip("/").split("/")]
        if parts[0] != "admin":
            return None
        answer = web.Response(status=404)
        match (request.method, parts[1:]):
            case ("GET" | "POST", ["host", "ping"]):  # also with ?checkHealth=1: no load is ever too high
                answer = web.Response(headers={"Cache-Control": "no-store,no-cache", "Pragma": "no-cache"})
            case ("GET", ["host", "status"]):
                answer = web.json_response(self._status())
            case ("GET", ["functions"]):
                views = [self._view(function, request) for function in self._app.functions]
                answer = web.json_response(views)
            case ("GET", ["functions", name]) if name in self._by_name:
                answer = web.json_response(self._view(self._by_name[name], request))
            case ("GET", ["functions", name, "status"]) if name in self._refused:
                answer = web.json_response({"errors": [self._refused[name]]})
            case ("GET", ["functions", name, "status"]) if name in self._by_name:
                answer = web.json_response({})
            case ("POST", ["functions", name]):
                answer = await self._run(name, request)
        return answer

    async def stop(self, grace_seconds: float) -> None:
        """Wait for the runs that were begun by hand, then cancel them."""
        if self._runs:
            _, late = await asyncio.wait(self._runs, timeout=grace_seconds)
            for task in late:
                task.cancel()

    def _status(self) -> dict[str, Any]:
        status: dict[str, Any] = {
            "id": "devhost",
            "state": "Error" if self._errors else "Running",
            "version": "4.0.0.0",
            "versionDetails": "devhost",
            "processUptime": int((time.monotonic() - self._started) * 1000),
            "functionAppContentEditingState": "NotAllowed",
        }
        if self._extension_bundle:
            status["extensionBundle"] = {key: self._extension_bundle.get(key) for key in ("id", "version")}
        return {**status, "errors": list(self._errors)} if self._errors else status

    def _view(self, function: FunctionDefinition, request: web.Request) -> dict[str, Any]:
        origin = f"http://{request.host}"
        is_http = function.trigger.type == "httpTrigger"
        url = f"{origin}/{function.http_path(self._prefix)}" if is_http else None
        return {
            "name": function.name,
            "href": f"{origin}/admin/functions/{function.name}",
            "invoke_url_template": url,
            "language": "python",
            "config": {
                "name": function.name,
                "entryPoint": getattr(function.user_function, "__name__", function.name),
                "scriptFile": "function_app.py",
                "language": "python",
                "functionDirectory": self._script_root,
                "bindings": [dict(binding.properties) for binding in function.bindings],
            },
            "isDisabled": function.is_disabled,
            "isDirect": False,
            "isProxy": False,
            "test_data": "",
        }

    async def _run(self, name: str, request: web.Request) -> web.Response:
        """Run a function in the background: 202 at once, whatever becomes of it."""
        text = await _input_of(request)
        if text is None:
            return _refusal('The body must be {"input": "..."}.')
        function = self._by_name.get(name)
        if function is None:
            return web.Response(status=404)
        kind = function.trigger.type
        if kind == "activityTrigger" and not _is_json(text):
            return _refusal("The input of an activity must be JSON.")
        values: Mapping[str, Datum] = {
            "queueTrigger": Datum(text, "string"),
            "timerTrigger": timer_datum(None, is_past_due=False),
            "activityTrigger": Datum(text, "string"),
            "httpTrigger": _http_datum(text, request),
        }
        if kind not in values:
            return _refusal(f"A function with the trigger {kind} cannot be run by hand.")
        metadata = queue_metadata() if kind == "queueTrigger" else {}
        run = self._invoker.invoke(function, values[kind], metadata)
        task = asyncio.get_running_loop().create_task(run)
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        return web.Response(status=202)


async def _input_of(request: web.Request) -> str | None:
    """The text of `input`, which may be left out; None when the body is not of that shape."""
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError):  # LookupError: no such charset
        return None
    text = body.get("input", "") if isinstance(body, dict) else None
    return storable(text) if isinstance(text, str) else None


def _refusal(reason: str) -> web.Response:
    return web.json_response({"Message": reason}, status=400)


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
            "url": Datum(url_of(request), "string"),
            "headers": {},
            "query": {},
            "params": {},
            "body": Datum(body.encode(), "bytes"),
        },
        "http",
    )
