"""What a trigger gives to the binding expressions of its function, and those expressions replaced by it."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from azure.functions.meta import Datum

from devhost.indexing.binding_expression import parse_expression, scalar_text
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import converter_of

EXPRESSION_MEMBERS: Mapping[str, str] = {"blob": "path", "queue": "queueName"}


def bind_expressions(
    function: FunctionDefinition, value: Datum, metadata: Mapping[str, Datum], invocation_id: str
) -> Sequence[Binding]:
    """The function's bindings with their expressions replaced. Raises ValueError when one has no value."""
    if not any(_has_expression(binding) for binding in function.bindings):
        return function.bindings
    values = trigger_values(function, value, metadata, invocation_id)
    return [_bound(binding, values) if _has_expression(binding) else binding for binding in function.bindings]


def _has_expression(binding: Binding) -> bool:
    member = EXPRESSION_MEMBERS.get(binding.type)
    return member is not None and ("{" in (text := str(binding.properties[member])) or "}" in text)


def _bound(binding: Binding, values: Mapping[str, object]) -> Binding:
    member = EXPRESSION_MEMBERS[binding.type]
    text = parse_expression(str(binding.properties[member])).evaluate(values)
    return replace(binding, properties={**binding.properties, member: text})


def trigger_values(
    function: FunctionDefinition, value: Datum, metadata: Mapping[str, Datum], invocation_id: str
) -> dict[str, object]:
    """Values by name in lower case: of the trigger's metadata, then of the JSON that it carries."""
    values: dict[str, object] = {
        "invocationid": invocation_id,
        "sys": {
            "methodname": function.name,
            "utcnow": lambda: datetime.now(UTC),
            "randguid": uuid.uuid4,
        },
    }
    if function.trigger.type == "httpTrigger":
        values.update(_request_values(value))
        return values
    values.update({name.lower(): _metadata_value(datum) for name, datum in metadata.items()})
    if value.type in ("string", "json") and function.trigger.type != "timerTrigger":
        text = str(value.value)
        if function.trigger.type == "activityTrigger":
            values["data"] = _json(text)
        values.update(_json_members(text))
    return values


def _request_values(value: Datum) -> dict[str, object]:
    """Members of a JSON body, then the query, then the route, the later ones winning."""
    request: Any = (
        value.value
        if value.type == "object"
        else converter_of("httpTrigger").decode(value, trigger_metadata={})
    )
    values = _json_members(request.get_body().decode(errors="replace"))
    for name, text in request.params.items():
        if name.lower() != "code":
            values[name.lower()] = text
    values.update({name.lower(): text for name, text in request.route_params.items()})
    values.setdefault("query", dict(request.params))
    values.setdefault("headers", dict(request.headers))
    return values


def _json_members(text: str) -> dict[str, object]:
    """Members of a JSON object by name in lower case: texts and objects; lists and nulls are left out."""
    found = _json(text)
    if not isinstance(found, dict):
        return {}
    return {
        name.lower(): value if isinstance(value, dict) else scalar_text(value)
        for name, value in found.items()
        if value is not None and not isinstance(value, list)
    }


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _metadata_value(datum: Datum) -> object:
    if datum.type == "json":
        return scalar_text(json.loads(datum.value))
    return datum.value
