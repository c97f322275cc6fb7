"""The paths below /_: scripts, records and keys, for whoever tests from outside of the process."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from testconnector.answers import Answer, error_answer, json_answer
from testconnector.effects import FaultError
from testconnector.turns import TENANT, USER

if TYPE_CHECKING:
    from testconnector.server import ScriptedConnector

Query = dict[str, str]
MOST_AT_ONCE = 1000


class _BadRequest(Exception):
    """What was asked cannot be understood; the message says why."""


async def answer_control(connector: "ScriptedConnector", method: str, path: str, raw: bytes) -> Answer:
    bare, _, query_text = path.partition("?")
    query = {name: values[0] for name, values in parse_qs(query_text).items()}
    control = _CONTROLS.get((method, bare))
    if control is None:
        known = ", ".join(f"{known_method} {known_path}" for known_method, known_path in _CONTROLS)
        return error_answer(404, "NotFound", f"There are {known}, and the connector below /v3/conversations.")
    try:
        given = json.loads(raw) if raw else None
        return await control(connector, given, query)
    except (ValueError, TypeError, FaultError, _BadRequest) as error:
        return error_answer(400, "BadRequest", str(error))


async def _show_faults(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    return json_answer(200, [rule.shown() for rule in connector.faults])


async def _add_faults(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    rules = given if isinstance(given, list) else [given]
    return json_answer(201, [connector.faults.add(rule).shown() for rule in rules])


async def _replace_faults(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    if not isinstance(given, list):
        raise _BadRequest("a list of rules is expected")
    connector.faults.replace(given)
    return await _show_faults(connector, given, query)


async def _remove_faults(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    if "number" not in query:
        connector.faults.clear()
    elif not connector.faults.remove(int(query["number"])):
        raise _BadRequest("there is no rule of that number")
    return await _show_faults(connector, given, query)


async def _show_calls(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    """The latest calls; ``after`` a number, of one ``conversation``, ``limit`` at most."""
    after, limit = int(query.get("after", 0)), int(query.get("limit", MOST_AT_ONCE))
    wanted = query.get("conversation")
    found = [
        call
        for call in connector.calls
        if call.number > after and (wanted is None or call.conversation_id == wanted)
    ]
    return json_answer(200, [call.shown() for call in (found[:limit] if after else found[-limit:])])


async def _forget_calls(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    connector.forget_calls()
    return Answer(204)


async def _show_conversations(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    shown = [
        {
            "id": known.conversation_id,
            "kind": known.kind,
            "tenantId": known.tenant_id,
            "members": len(known.members),
            "accepted": known.accepted,
        }
        for known in connector.api.conversations
    ]
    return json_answer(200, shown[-int(query.get("limit", MOST_AT_ONCE)) :])


async def _add_conversation(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    """Make ``id`` known, with its ``members`` and its ``tenantId``."""
    wanted = _object(given)
    if not isinstance(wanted.get("id"), str) or not isinstance(wanted.get("members", []), list):
        raise _BadRequest("an id, and a list of members, are expected")
    connector.api.conversations.add(
        wanted["id"], tenant_id=str(wanted.get("tenantId", "")), members=wanted.get("members")
    )
    return Answer(204)


async def _report(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    return json_answer(200, connector.report())


async def _cancel_streams(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    conversation_id = str(_object(given).get("conversation", ""))
    return json_answer(200, {"cancelled": connector.api.streams.cancel(conversation_id)})


async def _rotate_keys(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    keep_old = _object(given or {}).get("keep_old", True)
    return json_answer(200, {"kid": connector.keys.rotate(keep_old=bool(keep_old))})


async def _token(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    """A channel token; claims of the query win."""
    claims: dict[str, Any] = {
        name: int(value) if name in ("exp", "nbf", "age_seconds") else value for name, value in query.items()
    }
    return json_answer(200, {"token": connector.channel_token(**claims)})


async def _deliver_turn(connector: "ScriptedConnector", given: Any, query: Query) -> Answer:
    """Deliver a message with ``text``, or with what ``turn`` says of it, ``to`` a bot's endpoint."""
    wanted = _object(given)
    if not isinstance(wanted.get("to"), str):
        raise _BadRequest("to, the bot's endpoint, is expected")
    turn = connector.turn(
        str(wanted.get("text", "")),
        user=str(wanted.get("user", USER)),
        tenant_id=str(wanted.get("tenant", TENANT)),
    )
    turn.update(_object(wanted.get("turn", {})))
    answers = await connector.deliver(
        turn,
        to=wanted["to"],
        token=wanted.get("token"),
        deliveries=int(wanted.get("deliveries", 1)),
        apart_seconds=float(wanted.get("apart_seconds", 0)),
    )
    return json_answer(200, {"turn": turn, "answers": [answer.shown() for answer in answers]})


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _BadRequest("a JSON object is expected")
    return given


_CONTROLS: dict[tuple[str, str], Callable[["ScriptedConnector", Any, Query], Awaitable[Answer]]] = {
    ("GET", "/_faults"): _show_faults,
    ("POST", "/_faults"): _add_faults,
    ("PUT", "/_faults"): _replace_faults,
    ("DELETE", "/_faults"): _remove_faults,
    ("GET", "/_calls"): _show_calls,
    ("DELETE", "/_calls"): _forget_calls,
    ("GET", "/_conversations"): _show_conversations,
    ("PUT", "/_conversations"): _add_conversation,
    ("GET", "/_report"): _report,
    ("POST", "/_streams/cancel"): _cancel_streams,
    ("POST", "/_keys/rotate"): _rotate_keys,
    ("GET", "/_token"): _token,
    ("POST", "/_turns"): _deliver_turn,
}
