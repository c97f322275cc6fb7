"""The management API of Durable Functions over HTTP, for the SDK's client and for everyone else."""

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from devhost.durable.client_binding import RPC_PATH, WEBHOOK_PATH, DurableClientUrls
from devhost.durable.dispatcher import Dispatcher, utc_now
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import EventType, event, execution_started
from devhost.durable.instance_filter import InstanceFilter, place_of, read_token, write_token
from devhost.durable.instance_view import history_view, instance_view
from devhost.durable.records import Instance, InstanceActive
from devhost.durable.task_hub import TaskHub

_FORBIDDEN_IN_ID = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_PURGE_BATCH = 200
_NOT_YET = ("rewind", "suspend", "resume", "restart")


class ManagementApi:
    """Answers requests below the webhook and RPC paths; paths are read in any case."""

    def __init__(
        self, hub: TaskHub, dispatcher: Dispatcher, functions: DurableFunctions, urls: DurableClientUrls
    ) -> None:
        self._hub, self._dispatcher, self._functions, self._urls = hub, dispatcher, functions, urls

    async def handle(self, request: web.Request, raw_path: str) -> web.Response | None:
        """Answer, or None when the path is not one of ours."""
        for base in (WEBHOOK_PATH, RPC_PATH):
            if raw_path.lower().startswith(base + "/"):
                parts = [unquote(part) for part in raw_path[len(base) :].strip("/").split("/")]
                return await self._route(request, parts)
        return None

    async def _route(self, request: web.Request, parts: list[str]) -> web.Response:
        answer = web.Response(status=404)
        match (request.method, parts[0].lower(), [part for part in parts[1:] if part]):
            case ("POST", "orchestrators", [name]):
                answer = await self._start(request, name)
            case ("POST", "orchestrators", [name, instance_id]):
                answer = await self._start(request, name, instance_id)
            case (_, "entities", _):
                answer = _not_implemented("Entities")
            case ("GET", "instances", []):
                answer = self._list(request)
            case ("DELETE", "instances", []):
                answer = await self._purge_many(request)
            case ("GET", "instances", [instance_id]):
                answer = self._status(request, instance_id)
            case ("DELETE", "instances", [instance_id]):
                answer = self._purge_one(instance_id)
            case ("POST", "instances", [instance_id, operation, *rest]):
                answer = await self._post(request, instance_id, operation.lower(), rest)
        return answer

    async def _post(
        self, request: web.Request, instance_id: str, operation: str, rest: list[str]
    ) -> web.Response:
        if operation == "raiseevent" and len(rest) == 1:
            return await self._for_active(
                instance_id, lambda: self._raise_event(request, instance_id, rest[0])
            )
        if operation == "terminate" and not rest:
            return await self._for_active(instance_id, lambda: self._terminate(request, instance_id))
        if operation in _NOT_YET and not rest:
            return _not_implemented(operation.capitalize())
        return web.Response(status=404)

    async def _for_active(self, instance_id: str, act: Callable[[], Awaitable[web.Response]]) -> web.Response:
        instance = self._hub.instance(instance_id)
        if instance is None:
            return web.Response(status=404)
        if instance.status.is_final:
            return web.Response(status=410)
        return await act()

    async def _start(self, request: web.Request, name: str, instance_id: str = "") -> web.Response:
        function = self._functions.orchestrators.get(name.lower())
        if function is None:
            known = ", ".join(f"'{f.durable_name}'" for f in self._functions.orchestrators.values())
            return _bad_argument(
                f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function. "
                f"Additional info: The following are the known orchestrator functions: {known}."
            )
        instance_id = instance_id or uuid.uuid4().hex
        if len(instance_id) > 256 or instance_id.startswith("@") or _FORBIDDEN_IN_ID.search(instance_id):
            return _bad_argument(
                "Instance ids must have at most 256 characters, none of / \\ # ? and no leading @."
            )
        body = await _json_text(request)
        if body is None:
            return _bad_argument("The body of the request is not valid JSON.")
        now, execution_id = utc_now(), uuid.uuid4().hex
        started = execution_started(instance_id, execution_id, function.durable_name, body or None, now)
        try:
            self._hub.create_instance(instance_id, execution_id, function.durable_name, started, now)
        except InstanceActive as active:
            return _failure(
                500,
                "Something went wrong while processing your request",
                f"An Orchestration instance with the status {active.status.text} already exists.",
                "System.InvalidOperationException",
            )
        self._dispatcher.wake(instance_id)
        payload = self._urls.management_urls(instance_id, self._origin(request))
        del payload["rewindPostUri"]
        headers = {"Location": payload["statusQueryGetUri"], "Retry-After": "10"}
        return web.json_response(payload, status=202, headers=headers)

    def _origin(self, request: web.Request) -> str:
        return f"http://{request.host}{WEBHOOK_PATH}"

    def _status(self, request: web.Request, instance_id: str) -> web.Response:
        instance = self._hub.instance(instance_id)
        if instance is None:
            return web.Response(status=404)
        view = self._view(instance, request.query)
        if not instance.status.is_final:
            location = self._urls.management_urls(instance_id, self._origin(request))["statusQueryGetUri"]
            return web.json_response(view, status=202, headers={"Location": location, "Retry-After": "5"})
        wants_500 = _flag(request.query, "returnInternalServerErrorOnFailure")
        failed = instance.status.text == "Failed"
        return web.json_response(view, status=500 if failed and wants_500 else 200)

    def _view(self, instance: Instance, query: Mapping[str, str]) -> dict[str, Any]:
        view = instance_view(instance, show_input=_flag(query, "showInput", default=True))
        if _flag(query, "showHistory"):
            show_output = _flag(query, "showHistoryOutput")
            view["historyEvents"] = history_view(
                self._hub.history(instance.instance_id), show_output=show_output
            )
        return view

    def _list(self, request: web.Request) -> web.Response:
        try:
            wanted = InstanceFilter.from_query(request.query)
            after = read_token(request.headers.get("x-ms-continuation-token", ""))
        except ValueError as error:
            return _bad_argument(str(error))
        found = self._hub.instances(wanted, after=after, limit=wanted.top + 1)
        page = found[: wanted.top]
        views = [self._view(instance, request.query) for instance in page]
        token = write_token(page[-1]) if len(found) > len(page) else ""
        return web.json_response(views, headers={"x-ms-continuation-token": token})

    def _purge_one(self, instance_id: str) -> web.Response:
        deleted = self._hub.purge([instance_id])
        return web.json_response({"instancesDeleted": deleted}) if deleted else web.Response(status=404)

    async def _purge_many(self, request: web.Request) -> web.Response:
        try:
            wanted = InstanceFilter.from_query(request.query)
        except ValueError as error:
            return _bad_argument(str(error))
        if wanted.created_from is None:
            return _bad_argument("Please provide value for 'createdTimeFrom' parameter.")
        deleted, after = 0, ("", "")
        while batch := self._hub.instances(wanted, after=after, limit=_PURGE_BATCH):
            deleted += self._hub.purge([instance.instance_id for instance in batch])
            after = place_of(batch[-1])
            await asyncio.sleep(0)  # let others on the loop have their turn
        return web.json_response({"instancesDeleted": deleted}) if deleted else web.Response(status=404)

    async def _raise_event(self, request: web.Request, instance_id: str, name: str) -> web.Response:
        if request.content_type != "application/json":
            return _bad_argument("Only application/json request content is supported")
        body = await _json_text(request)
        if not body:
            return _bad_argument("The body of the request is not valid JSON.")
        self._hub.add_event(instance_id, event(EventType.EVENT_RAISED, utc_now(), Name=name, Input=body))
        self._dispatcher.wake(instance_id)
        return web.Response(status=202)

    async def _terminate(self, request: web.Request, instance_id: str) -> web.Response:
        reason = request.query.get("reason", "")
        self._hub.add_event(instance_id, event(EventType.EXECUTION_TERMINATED, utc_now(), Input=reason))
        self._dispatcher.wake(instance_id)
        return web.Response(status=202)


async def _json_text(request: web.Request) -> str | None:
    """The body, which may be empty; None when it is no JSON or cannot be read at all."""
    try:
        text = (await request.text()).strip()
        if text:
            json.loads(text)
    except (ValueError, LookupError, RecursionError):  # not in its charset, or no such charset, or too deep
        return None
    return text


def _flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A boolean of the query; what is neither true nor false counts as not given."""
    given = [value.lower() for key, value in query.items() if key.lower() == name.lower()]
    return given[0] == "true" if given and given[0] in ("true", "false") else default


def _bad_argument(reason: str) -> web.Response:
    return _failure(
        400, "One or more of the arguments submitted is incorrect", reason, "System.ArgumentException"
    )


def _failure(status: int, message: str, reason: str, kind: str) -> web.Response:
    body = {"Message": message, "ExceptionMessage": reason, "ExceptionType": kind, "StackTrace": ""}
    return web.json_response(body, status=status)


def _not_implemented(what: str) -> web.Response:
    return web.json_response(
        {"Message": f"{what}: devhost does not have this yet; the real host does."}, status=501
    )
