"""Entities through the management API: signal one, read its state, list them."""

import base64
import json
import uuid
from datetime import datetime
from typing import Any

from aiohttp import web

from devhost.durable.dispatcher import Dispatcher, utc_now
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import utc_text
from devhost.durable.instance_filter import page_size, query_moment
from devhost.durable.management_answer import Refused, bad_argument, empty, json_answer, message
from devhost.durable.records import Committed, Entity
from devhost.durable.request_body import FORBIDDEN_IN_ID, body_text, flag, parameter
from devhost.durable.stored_json import JsonRefused, json_token, read_json
from devhost.durable.task_hub import TaskHub

_TOKEN_HEADER = "x-ms-continuation-token"  # noqa: S105 (a header's name)
_EMPTY_KEY = "$"  # stands for the empty key in a path that is read


class EntityOperations:
    """Answers requests below `entities`. Names of entities are in lower case in their ids."""

    def __init__(self, hub: TaskHub, dispatcher: Dispatcher, functions: DurableFunctions) -> None:
        self._hub, self._dispatcher, self._functions = hub, dispatcher, functions

    async def signal(self, request: web.Request, name: str, key: str) -> web.Response:
        """202: the operation of `?op=` (for DELETE it is `delete`) waits for the entity."""
        operation = "delete" if request.method == "DELETE" else parameter(request, "op") or ""
        input_text = await _input_text(request)
        self._check(name, key)
        body: dict[str, Any] = {"op": operation, "signal": True, "input": input_text}
        body |= {"id": str(uuid.uuid4()), "parent": None, "parentExecution": None}
        entity_id = f"@{name.lower()}@{key}"
        self._hub.add_entity_message(entity_id, json.dumps(body | {"Timestamp": utc_text(utc_now())}))
        self._dispatcher.dispatch(Committed(wake_entities=[entity_id]))
        return empty(202)

    def _check(self, name: str, key: str) -> None:
        """Raises Refused (400) for an entity that cannot be signalled."""
        if FORBIDDEN_IN_ID.search(key):
            raise Refused(message(400, "Entity keys must not contain /, \\, #, ?, or control characters."))
        entities = self._functions.entities
        if name.lower() in entities:
            return
        known = ", ".join(f"'{entity}'" for entity in entities)
        listed = f"The following are the known entity functions: {known}."
        raise Refused(
            message(
                400,
                f"The function '{name}' doesn't exist, is disabled, or is not an entity function. "
                f"Additional info: {listed if known else 'No entity functions are currently registered!'}",
            )
        )

    def read(self, name: str, key: str) -> web.Response:
        """The state as JSON; 404 when the entity does not exist."""
        entity = self._hub.entity(f"@{name.lower()}@{'' if key == _EMPTY_KEY else key}")
        return empty(404) if entity is None else json_answer(json_token(entity.state))

    def list(self, request: web.Request, name: str = "") -> web.Response:
        """A page of the entities that exist, all or of one name, in the order of their ids."""
        after = _read_token(request.headers.get(_TOKEN_HEADER, ""))
        top = page_size(request.query)
        found = self._hub.entities(
            f"@{name.lower()}@" if name else "",
            updated_from=_moment(request, "lastOperationTimeFrom"),
            updated_to=_moment(request, "lastOperationTimeTo"),
            after=after,
            limit=top + 1,
        )
        page, shows_state = found[:top], flag(request, "fetchState")
        token = base64.b64encode(page[-1].entity_id.encode()).decode() if len(found) > top else ""
        views = [_view(entity, shows_state=shows_state) for entity in page]
        return json_answer(views, headers={_TOKEN_HEADER: token})


async def _input_text(request: web.Request) -> str | None:
    """JSON text of an operation's input; what is not sent as JSON is a string. Raises Refused (400)."""
    text = await body_text(request)
    if not text:
        return None
    if request.content_type != "application/json":
        return json.dumps(text)
    try:
        read_json(text)
    except JsonRefused as error:
        raise Refused(message(400, f"Could not parse JSON content: {error}")) from None
    return text


def _view(entity: Entity, *, shows_state: bool) -> dict[str, Any]:
    _, name, key = entity.entity_id.split("@", 2)
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": entity.updated,
        "state": json_token(entity.state) if shows_state else None,
    }


def _moment(request: web.Request, name: str) -> datetime | None:
    return query_moment(name, parameter(request, name))


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except ValueError:
        raise Refused(bad_argument("The continuation token is not one of this host.")) from None
