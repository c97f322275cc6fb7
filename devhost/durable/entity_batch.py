"""A batch of operations on one entity: what its function is given, and what its answer changes."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devhost.durable.history import EventType, event, utc_text
from devhost.durable.records import EntityChange, EntityWork
from devhost.storable_text import storable


class BatchRefused(Exception):
    """The function's answer does not fit the batch; the text says why."""


@dataclass(frozen=True, slots=True)
class EntityRequest:
    """One operation that is asked for. `input_text` is the JSON text of the caller's JSON text, or None.

    `parent` and `parent_execution` are the ids of the orchestration that waits for the answer to a call.
    """

    operation: str
    input_text: str | None
    is_signal: bool
    request_id: str
    parent: str | None
    parent_execution: str | None

    @classmethod
    def read(cls, body: str) -> "EntityRequest":
        """Read a stored request."""
        values = json.loads(body)
        return cls(
            values["op"],
            values.get("input"),
            bool(values.get("signal")),
            values["id"],
            values.get("parent"),
            values.get("parentExecution"),
        )


@dataclass(frozen=True, slots=True)
class OperationResult:
    """How one operation ended; `result` is a JSON text, or plain text about a time limit."""

    is_error: bool
    result: str | None


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What the function says of a batch: the state after it, one result an operation, and its signals."""

    exists: bool
    state: str | None
    results: list[OperationResult]
    signals: list[tuple[str, str, str | None]]  # an entity's id, an operation and its input


def name_and_key(entity_id: str) -> tuple[str, str]:
    """The two parts of an id `@name@key`; a key may have an @ of its own."""
    _, name, key = entity_id.split("@", 2)
    return name, key


def batch_payload(work: EntityWork, requests: list[EntityRequest]) -> str:
    """The trigger's value, as the extension makes it."""
    name, key = name_and_key(work.entity_id)
    batch = [{"name": one.operation, "input": one.input_text, "isSignal": one.is_signal} for one in requests]
    return json.dumps(
        {"self": {"name": name, "key": key}, "exists": work.exists, "state": work.state, "batch": batch}
    )


def read_answer(text: object, operations: int) -> BatchAnswer:
    """Read what the function returned for so many operations. Raises BatchRefused."""
    try:
        answer: Any = json.loads(text) if isinstance(text, str) else None
        results = [
            OperationResult(bool(one["isError"]), _text(one.get("result"))) for one in answer["results"]
        ]
        signals = [_signal(one) for one in answer.get("signals") or ()]
        exists, state = bool(answer["entityExists"]), _text(answer.get("entityState"))
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise BatchRefused("The entity function returned no state of an entity.") from None
    if len(results) != operations:
        raise BatchRefused(f"The entity function gave {len(results)} results for {operations} operations.")
    return BatchAnswer(exists, state, results, signals)


def timed_out(work: EntityWork, operations: int, reason: str) -> BatchAnswer:
    """The answer in place of one that came too late: every operation failed, the state is as it was."""
    return BatchAnswer(work.exists, work.state, [OperationResult(True, reason)] * operations, [])


def batch_change(
    work: EntityWork, requests: list[EntityRequest], answer: BatchAnswer, now: datetime
) -> EntityChange:
    """All that a batch changes: the state, the answers to calls, and the signals to other entities."""
    answers = [
        (
            one.parent,
            one.parent_execution,
            event(EventType.EVENT_RAISED, now, Name=one.request_id, Input=_response(result)),
        )
        for one, result in zip(requests, answer.results, strict=True)
        if not one.is_signal and one.parent is not None
    ]
    signals = [
        (to, _signal_body(work.entity_id, operation, input_text, now))
        for to, operation, input_text in answer.signals
    ]
    return EntityChange(
        exists=answer.exists,
        state=answer.state if answer.exists else None,
        updated=now,
        to_instances=answers,
        signals=signals,
    )


def _response(result: OperationResult) -> str:
    response: dict[str, Any] = {"result": result.result}
    if result.is_error:
        response["exceptionType"] = "Error"
    return json.dumps(response, ensure_ascii=False)


def _signal(given: dict[str, Any]) -> tuple[str, str, str | None]:
    target = given["target"]
    return f"@{str(target['name']).lower()}@{target['key']}", str(given["name"]), _text(given.get("input"))


def _signal_body(sender: str, operation: str, input_text: str | None, now: datetime) -> str:
    body = {"op": operation, "signal": True, "input": input_text, "id": str(uuid.uuid4())}
    body |= {"parent": sender, "parentExecution": None, "Timestamp": utc_text(now)}
    return json.dumps(body, ensure_ascii=False)


def _text(value: object) -> str | None:
    return None if value is None else storable(str(value))
