"""Starting and restarting instances through the management API."""

import uuid

from aiohttp import web

from devhost.durable.client_binding import WEBHOOK_PATH, DurableClientUrls
from devhost.durable.dispatcher import Dispatcher, utc_now
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import Status, execution_started
from devhost.durable.instance_view import instance_view
from devhost.durable.management_answer import bad_argument, invalid_operation, json_answer
from devhost.durable.records import InstanceActive
from devhost.durable.request_body import FORBIDDEN_IN_ID, flag, json_text
from devhost.durable.stored_json import json_token
from devhost.durable.task_hub import TaskHub
from devhost.durable.wait_for_completion import CompletionWaits, wanted_wait

_LONGEST_ID = 256  # UTF-16 units, as .NET counts


class InstanceStart:
    """Answers `POST orchestrators/…` and `POST instances/{id}/restart`."""

    def __init__(
        self,
        hub: TaskHub,
        dispatcher: Dispatcher,
        functions: DurableFunctions,
        urls: DurableClientUrls,
        *,
        replaces_active: bool = False,
        uses_forwarded_host: bool = False,
    ) -> None:
        self._hub, self._dispatcher, self._functions, self._urls = hub, dispatcher, functions, urls
        self._replaces_active = replaces_active
        self._uses_forwarded_host = uses_forwarded_host
        self._waits = CompletionWaits(hub)

    def close(self) -> None:
        """Have all that wait for the end of an instance answer now."""
        self._waits.close()

    async def start(self, request: web.Request, name: str, instance_id: str = "") -> web.Response:
        """202 with the management payload; 400 for what cannot be started, 500 for an id that is in use."""
        text = await json_text(request)
        refusal = self._refusal(name) or _id_refusal(instance_id)
        return refusal or await self._create(request, name, instance_id, text or None)

    async def restart(self, request: web.Request, instance_id: str) -> web.Response:
        """Start again what an instance was, with its input, under a new id or its own."""
        instance = self._hub.instance(instance_id)
        if instance is None:
            # Spelt as the real host spells it.
            return bad_argument(
                f"An orchestrastion with the instanceId {instance_id} was not found.",
                text="InstanceId does not match a valid orchestration instance.",
            )
        refusal = self._refusal(instance.name)
        new_id = "" if flag(request, "restartWithNewInstanceId", default=True) else instance_id
        return refusal or await self._create(request, instance.name, new_id, instance.input_text)

    def _refusal(self, name: str) -> web.Response | None:
        functions = self._functions.orchestrators
        if name.lower() in functions:
            return None
        known = ", ".join(f"'{function.durable_name}'" for function in functions.values())
        listed = f"The following are the known orchestrator functions: {known}."
        return bad_argument(
            f"The function '{name}' doesn't exist, is disabled, or is not an orchestrator function. "
            f"Additional info: {listed if known else 'No orchestrator functions are currently registered!'}"
        )

    async def _create(
        self, request: web.Request, name: str, instance_id: str, input_text: str | None
    ) -> web.Response:
        instance_id = instance_id or uuid.uuid4().hex
        now, execution_id = utc_now(), uuid.uuid4().hex
        started = execution_started(instance_id, execution_id, name, input_text, now)
        try:
            parent = self._hub.create_instance(
                instance_id, execution_id, name, started, now, replaces_active=self._replaces_active
            )
        except InstanceActive as active:
            return invalid_operation(
                f"An Orchestration instance with the status {active.status.text} already exists."
            )
        if parent is not None:
            self._dispatcher.wake(parent.instance_id)
        self._dispatcher.wake(instance_id)
        wait = wanted_wait(request)  # refused too late to keep the instance from running, as on the real host
        if wait is not None:
            ended = await self._waits.ended_instance(instance_id, *wait)
            if ended is not None and ended.status == Status.COMPLETED:
                return json_answer(json_token(ended.output))
            if ended is not None:
                return json_answer(instance_view(ended, show_input=True))
        return self._check_status(request, instance_id)

    def _check_status(self, request: web.Request, instance_id: str) -> web.Response:
        payload = self._urls.management_urls(instance_id, f"{self._origin(request)}{WEBHOOK_PATH}")
        del payload["rewindPostUri"]
        headers = {"Location": payload["statusQueryGetUri"], "Retry-After": "10"}
        return json_answer(payload, status=202, headers=headers)

    def _origin(self, request: web.Request) -> str:
        """Where the caller reached this host; a proxy's word counts where host.json says so."""
        proxied = [request.headers.get(f"X-Forwarded-{name}", "") for name in ("Proto", "Host")]
        if self._uses_forwarded_host and all(proxied):
            return "://".join(proxied)
        return f"{request.scheme}://{request.host}"


def _id_refusal(instance_id: str) -> web.Response | None:
    if instance_id.startswith("@"):
        return bad_argument("Orchestration instance ids must not start with @.")
    if FORBIDDEN_IN_ID.search(instance_id):
        return bad_argument("Orchestration instance ids must not contain /, \\, #, ?, or control characters.")
    if len(instance_id.encode("utf-16-le", "replace")) // 2 > _LONGEST_ID:
        return bad_argument(f"Instance ID lengths must not exceed {_LONGEST_ID} characters.")
    return None
