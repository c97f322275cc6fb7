"""One step of one instance: call the orchestrator once, replay its actions, and say what changes."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from azure.functions.meta import Datum

from devhost.durable.decision import Decision, DecisionKind, NonDeterminism, OrchestrationFault
from devhost.durable.entity_batch import name_and_key
from devhost.durable.episode_change import Ending, EpisodeWriter
from devhost.durable.history import Event, EventType, Status, event, parse_utc
from devhost.durable.http_call import HTTP_ACTIVITY
from devhost.durable.http_polling import USUAL_PAUSE
from devhost.durable.orchestrator_reply import OrchestratorCrash, read_reply
from devhost.durable.records import Episode, EpisodeChange
from devhost.durable.replay import replay
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.invoker import FunctionTimeout, InvocationResult, Invoker
from devhost.storable_text import describe

logger = logging.getLogger("devhost")
_LONGEST_CUSTOM_STATUS = 16 * 1024


class EpisodeAbandoned(Exception):
    """The step could not be made; it is to be tried again later."""


class OrchestratorMissing(Exception):
    """The app has no such orchestrator now; the step waits in the hub until it has. The text is its name."""


@dataclass(frozen=True, slots=True)
class DurableFunctions:
    """What can run, by lower-case durable name.

    `absent` (activities), `absent_orchestrators` and `absent_entities` name those that the app declares and
    that cannot run now (disabled, refused, left out).
    """

    orchestrators: Mapping[str, FunctionDefinition]
    activities: Mapping[str, FunctionDefinition]
    absent: frozenset[str] = frozenset()
    entities: Mapping[str, FunctionDefinition] = field(default_factory=dict)
    absent_entities: frozenset[str] = frozenset()
    absent_orchestrators: frozenset[str] = frozenset()


async def run_episode(
    episode: Episode,
    *,
    functions: DurableFunctions,
    invoker: Invoker,
    now: datetime,
    http_pause: timedelta = USUAL_PAUSE,
) -> EpisodeChange:
    """Run one step (`http_pause` as for `replay`). Stores nothing.

    Raises EpisodeAbandoned and OrchestratorMissing.
    """
    past: list[Event] = msgspec.json.decode("[" + ",".join(episode.past) + "]")
    messages, instance = episode.messages, episode.instance
    now = _not_before(now, past, messages)
    new = [event(EventType.ORCHESTRATOR_STARTED, now), *messages]
    if not past and messages[0]["EventType"] != EventType.EXECUTION_STARTED:
        raise EpisodeAbandoned("the first message of the execution is missing")
    writer = EpisodeWriter(episode, past, new, now)
    terminated = next((m for m in messages if m["EventType"] == EventType.EXECUTION_TERMINATED), None)
    if terminated is not None:
        return writer.end(Ending(Status.TERMINATED, terminated["Input"], instance.custom_status))
    function = functions.orchestrators.get(instance.name.lower())
    if function is None:
        raise OrchestratorMissing(instance.name)
    result = await invoker.invoke(function, Datum(_payload(episode, new, http_pause), "string"))
    if isinstance(result.error, FunctionTimeout):
        raise EpisodeAbandoned(str(result.error))
    try:
        return _decide(episode, writer, result, functions, http_pause)
    except NonDeterminism as fault:
        reason = str(fault)
    except OrchestrationFault as fault:
        reason = _failure(instance.name, str(fault))
    except Exception as error:  # a reply that cannot be followed now never can be: trying again is no use
        logger.exception("What orchestration %s asked for cannot be followed", instance.instance_id)
        reason = _failure(instance.name, f"devhost cannot follow what it asked for: {describe(error)}")
    logger.error("Orchestration %s failed: %s", instance.instance_id, reason)
    return writer.end(Ending(Status.FAILED, reason, custom_status=None))


def _failure(name: str, reason: str) -> str:
    return f"Orchestrator function '{name}' failed: {reason}"


def _decide(
    episode: Episode,
    writer: EpisodeWriter,
    result: InvocationResult,
    functions: DurableFunctions,
    http_pause: timedelta,
) -> EpisodeChange:
    instance = episode.instance
    reply = read_reply(result)
    if isinstance(reply, OrchestratorCrash):
        return writer.end(Ending(Status.FAILED, _failure(instance.name, reply.text), custom_status=None))
    if len((reply.custom_status or "").encode("utf-16-le")) > _LONGEST_CUSTOM_STATUS:
        raise OrchestrationFault("The custom status must not exceed 16 KB of UTF-16 text of JSON.")
    outcome = replay(
        [*writer.past, *writer.new],
        reply,
        instance_id=instance.instance_id,
        execution_id=instance.execution_id,
        http_pause=http_pause,
    )
    for decision in outcome.decisions:
        _require_function(decision, functions)
    if outcome.is_finished and outcome.continues_as_new:
        return writer.start_over(outcome, reply)
    if outcome.is_finished and reply.error is not None:
        details = f"Message: {reply.error}, StackTrace: {result.stack}"
        text = _failure(instance.name, reply.error)
        return writer.end(Ending(Status.FAILED, text, reply.custom_status, details), outcome)
    if outcome.is_finished:
        return writer.end(Ending(Status.COMPLETED, reply.output, reply.custom_status), outcome)
    if outcome.is_stuck:
        logger.warning(
            "Orchestration %s has returned and yet stays Running, as on Azure: the host still waits for an "
            "external event of it. Was one task given to task_any more than once?",
            instance.instance_id,
        )
    return writer.go_on(outcome, reply)


def _require_function(decision: Decision, functions: DurableFunctions) -> None:
    """Raises OrchestrationFault for a function that the app does not have (the real host waits for ever)."""
    name = decision.name.lower()
    if decision.kind is DecisionKind.ACTIVITY:
        if (
            name not in functions.activities
            and name not in functions.absent
            and decision.name != HTTP_ACTIVITY
        ):
            raise OrchestrationFault(_unknown(decision.name, "activity", functions.activities))
    elif decision.kind is DecisionKind.SUB_ORCHESTRATION:
        if name not in functions.orchestrators and name not in functions.absent_orchestrators:
            raise OrchestrationFault(_unknown(decision.name, "orchestrator", functions.orchestrators))
        if decision.instance_id.startswith("@"):
            raise OrchestrationFault("The id of a sub-orchestration must not begin with @.")
    elif decision.kind is DecisionKind.EVENT:
        entity, _ = name_and_key(decision.instance_id)
        if entity not in functions.entities and entity not in functions.absent_entities:
            raise OrchestrationFault(_unknown(entity, "entity", functions.entities))


def _unknown(name: str, kind: str, known: Mapping[str, FunctionDefinition]) -> str:
    names = ", ".join(f"'{function.durable_name}'" for function in known.values())
    listed = f"The following are the known {kind} functions: {names}."
    return (
        f"The function '{name}' doesn't exist, is disabled, or is not an {kind} function. "
        f"Additional info: {listed if names else f'No {kind} functions are currently registered!'}"
    )


def _not_before(now: datetime, past: list[Event], messages: list[Event]) -> datetime:
    """Time never runs backwards in an orchestration, and the moment of a fired timer has passed."""
    moments = [parse_utc(past[-1]["Timestamp"])] if past else []
    moments += [parse_utc(m["FireAt"]) for m in messages if m["EventType"] == EventType.TIMER_FIRED]
    return max([now, *moments])


def _payload(episode: Episode, new: list[Event], http_pause: timedelta) -> str:
    instance = episode.instance
    history = ",".join([*episode.past, *(msgspec.json.encode(event).decode() for event in new)])
    rest = {
        "input": json_token(instance.input_text),
        "instanceId": instance.instance_id,
        "isReplaying": False,
        "parentInstanceId": instance.parent.instance_id if instance.parent else None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": http_pause // timedelta(milliseconds=1),
    }
    return f'{{"history":[{history}],{json.dumps(rest)[1:]}'


def json_token(text: str | None) -> object:
    """Stored JSON text as a value; what is no JSON is a string."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
