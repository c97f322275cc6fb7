"""What an orchestrator function gives back: a state of actions, also when it raised."""

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from devhost.invocation.invoker import InvocationResult
from devhost.storable_text import storable

_ERROR_LABEL = "\n\n$OutOfProcData$:"  # no JSON text has its line breaks, so the last one is the label


class ActionType(IntEnum):
    """Numbers of the SDK's actions."""

    CALL_ACTIVITY = 0
    CALL_ACTIVITY_WITH_RETRY = 1
    CALL_SUB_ORCHESTRATOR = 2
    CALL_SUB_ORCHESTRATOR_WITH_RETRY = 3
    CONTINUE_AS_NEW = 4
    CREATE_TIMER = 5
    WAIT_FOR_EXTERNAL_EVENT = 6
    CALL_ENTITY = 7
    CALL_HTTP = 8
    SIGNAL_ENTITY = 9
    WHEN_ANY = 11
    WHEN_ALL = 12


@dataclass(frozen=True, slots=True)
class OrchestratorReply:
    """The state: all actions since the start of this execution, and how it stands."""

    actions: list[dict[str, Any]]
    is_done: bool
    output: str | None  # JSON text
    error: str | None
    custom_status: str | None  # JSON text


@dataclass(frozen=True, slots=True)
class OrchestratorCrash:
    """The function raised without a state; the execution fails with this text."""

    text: str


def read_reply(result: InvocationResult) -> OrchestratorReply | OrchestratorCrash:
    """Read the outcome of one call of an orchestrator function."""
    if result.error is None:
        text = result.returned.value if result.returned else None
    else:
        _, label, text = result.error_text.rpartition(_ERROR_LABEL)
        if not label:
            return _crash(result.error_text, result.stack)
    try:
        state = _read_state(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict) or not isinstance(state.get("actions"), list):
        return _crash("The orchestrator function returned no orchestration state.", result.stack)
    return OrchestratorReply(
        actions=[action for turn in state["actions"] for action in turn],
        is_done=bool(state.get("isDone")),
        output=_json_text(state.get("output")),
        error=state.get("error"),
        custom_status=_json_text(state.get("customStatus")),
    )


def _read_state(text: str) -> Any:
    state = json.loads(text)
    if "\\ud" in text.lower():  # the SDK escapes: here may be lone surrogates, which no store takes
        state = json.loads(storable(json.dumps(state, ensure_ascii=False)))
    return state


def _crash(reason: str, stack: str) -> OrchestratorCrash:
    return OrchestratorCrash(
        f"One or more errors occurred. (Result: Failure\nException: {reason}\nStack: {stack})"
    )


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
