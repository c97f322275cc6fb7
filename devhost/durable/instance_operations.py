"""What can be done to an instance through the management API: events, terminate, suspend, resume, rewind."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from devhost.durable.dispatcher import Dispatcher, utc_now
from devhost.durable.history import Event, EventType, Status, event
from devhost.durable.management_answer import empty, invalid_json, invalid_operation, message
from devhost.durable.records import Instance
from devhost.durable.request_body import json_text, parameter
from devhost.durable.task_hub import TaskHub

Operation = Callable[[web.Request, Instance], Awaitable[web.Response]]


class InstanceOperations:
    """Answers `POST instances/{id}/…`. 404 for an unknown instance and 410 for an ended one."""

    def __init__(self, hub: TaskHub, dispatcher: Dispatcher) -> None:
        self._hub, self._dispatcher = hub, dispatcher
        self._by_name: dict[str, Operation] = {
            "terminate": self._terminate,
            "suspend": self._suspend,
            "resume": self._resume,
        }

    async def run(self, request: web.Request, instance_id: str, operation: str) -> web.Response:
        """Do what the last part of the path says."""
        act = self._by_name.get(operation)
        if operation == "rewind":
            return self._rewind(request, instance_id)
        if act is None:
            return empty(404)
        return await self._on_active(request, instance_id, act)

    async def raise_event(self, request: web.Request, instance_id: str, name: str) -> web.Response:
        """Hand an event to an instance; the body is its JSON."""

        async def act(request: web.Request, instance: Instance) -> web.Response:
            if request.content_type != "application/json":
                return message(400, "Only application/json request content is supported")
            body = await json_text(request)
            if not body:
                return invalid_json("The content is empty.")
            return self._send(instance, event(EventType.EVENT_RAISED, utc_now(), Name=name, Input=body))

        return await self._on_active(request, instance_id, act)

    async def _on_active(self, request: web.Request, instance_id: str, act: Operation) -> web.Response:
        instance = self._hub.instance(instance_id)
        if instance is None:
            return empty(404)
        return empty(410) if instance.status.is_final else await act(request, instance)

    def _send(self, instance: Instance, item: Event) -> web.Response:
        self._hub.add_event(instance.instance_id, item)
        self._dispatcher.wake(instance.instance_id)
        return empty(202)

    async def _terminate(self, request: web.Request, instance: Instance) -> web.Response:
        reason = parameter(request, "reason")
        return self._send(instance, event(EventType.EXECUTION_TERMINATED, utc_now(), Input=reason))

    async def _suspend(self, request: web.Request, instance: Instance) -> web.Response:
        if instance.status == Status.SUSPENDED:
            return _wrong_state("suspend", instance)
        reason = parameter(request, "reason")
        return self._send(instance, event(EventType.EXECUTION_SUSPENDED, utc_now(), Reason=reason))

    async def _resume(self, request: web.Request, instance: Instance) -> web.Response:
        if instance.status != Status.SUSPENDED:
            return _wrong_state("resume", instance)
        reason = parameter(request, "reason")
        return self._send(instance, event(EventType.EXECUTION_RESUMED, utc_now(), Reason=reason))

    def _rewind(self, request: web.Request, instance_id: str) -> web.Response:
        instance = self._hub.instance(instance_id)
        if instance is None:
            return empty(404)
        if instance.status == Status.FAILED:
            reason = parameter(request, "reason")
            self._dispatcher.dispatch(self._hub.rewind(instance_id, reason, utc_now()))
            return empty(202)
        if instance.status.is_final:
            return empty(410)
        return invalid_operation("The rewind operation is only supported on failed orchestration instances.")


def _wrong_state(verb: str, instance: Instance) -> web.Response:
    return invalid_operation(
        f"Cannot {verb} the orchestration instance {instance.instance_id} because instance is in the "
        f"{instance.status.text} state."
    )
