"""One step of one instance: call the orchestrator once, replay its actions, and say what changes."""

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from azure.functions.meta import Datum

from devhost.durable.history import Event, EventType, Status, event, execution_started, parse_utc, utc_text
from devhost.durable.orchestrator_reply import OrchestratorCrash, OrchestratorReply, read_reply
from devhost.durable.records import Episode, EpisodeChange
from devhost.durable.replay import Decision, OrchestrationFault, ReplayOutcome, replay
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

    `absent` names activities that the app declares and that cannot run now (disabled, refused, left out).
    """

    orchestrators: Mapping[str, FunctionDefinition]
    activities: Mapping[str, FunctionDefinition]
    absent: frozenset[str] = frozenset()


async def run_episode(
    episode: Episode, *, functions: DurableFunctions, invoker: Invoker, now: datetime
) -> EpisodeChange:
    """Run one step. Stores nothing. Raises EpisodeAbandoned and OrchestratorMissing."""
    past: list[Event] = msgspec.json.decode("[" + ",".join(episode.past) + "]")
    now = _not_before(now, past, episode.messages)
    messages = episode.messages
    new = [event(EventType.ORCHESTRATOR_STARTED, now), *messages]
    if not past and messages[0]["EventType"] != EventType.EXECUTION_STARTED:
        raise EpisodeAbandoned("the first message of the execution is missing")
    step = _Step(episode, past, new, now)
    terminated = next((m for m in messages if m["EventType"] == EventType.EXECUTION_TERMINATED), None)
    if terminated is not None:
        return step.end(Status.TERMINATED, terminated["Input"], custom_status=episode.instance.custom_status)
    name = episode.instance.name
    function = functions.orchestrators.get(name.lower())
    if function is None:
        raise OrchestratorMissing(name)
    result = await invoker.invoke(function, Datum(_payload(episode, new), "string"))
    if isinstance(result.error, FunctionTimeout):
        raise EpisodeAbandoned(str(result.error))
    try:
        return _decide(step, result, functions)
    except OrchestrationFault as fault:
        reason = str(fault)
    except Exception as error:  # a reply that cannot be followed now never can be: trying again is no use
        logger.exception("What orchestration %s asked for cannot be followed", episode.instance.instance_id)
        reason = f"devhost cannot follow what it asked for: {describe(error)}"
    logger.error("Orchestration %s failed: %s", episode.instance.instance_id, reason)
    return step.end(Status.FAILED, f"Orchestrator function '{name}' failed: {reason}")


def _decide(step: "_Step", result: InvocationResult, functions: DurableFunctions) -> EpisodeChange:
    name, instance_id = step.episode.instance.name, step.episode.instance.instance_id
    reply = read_reply(result)
    if isinstance(reply, OrchestratorCrash):
        return step.end(Status.FAILED, f"Orchestrator function '{name}' failed: {reply.text}")
    if len((reply.custom_status or "").encode("utf-16-le")) > _LONGEST_CUSTOM_STATUS:
        raise OrchestrationFault("The custom status must not exceed 16 KB of UTF-16 text of JSON.")
    outcome = replay([*step.past, *step.new], reply)
    for decision in outcome.decisions:
        _check_activity(decision, functions)
    if outcome.is_finished and outcome.continues_as_new:
        return step.start_over(outcome, reply)
    if outcome.is_finished:
        if reply.error is not None:
            reason = f"Orchestrator function '{name}' failed: {reply.error}"
            return step.end(Status.FAILED, reason, outcome=outcome, custom_status=reply.custom_status)
        return step.end(Status.COMPLETED, reply.output, outcome=outcome, custom_status=reply.custom_status)
    if outcome.is_stuck:
        logger.warning(
            "Orchestration %s has returned and yet stays Running, as on Azure: the host still waits for an "
            "external event of it. Was one task given to task_any more than once?",
            instance_id,
        )
    return step.go_on(outcome, reply)


def _check_activity(decision: Decision, functions: DurableFunctions) -> None:
    name = decision.name.lower()
    if not decision.is_timer and name not in functions.activities and name not in functions.absent:
        known = ", ".join(f"'{function.durable_name}'" for function in functions.activities.values())
        raise OrchestrationFault(
            f"The function '{decision.name}' doesn't exist, is disabled, or is not an activity function. "
            f"Additional info: The following are the known activity functions: {known}."
        )


def _not_before(now: datetime, past: list[Event], messages: list[Event]) -> datetime:
    """Time never runs backwards in an orchestration, and the moment of a fired timer has passed."""
    moments = [parse_utc(past[-1]["Timestamp"])] if past else []
    moments += [parse_utc(m["FireAt"]) for m in messages if m["EventType"] == EventType.TIMER_FIRED]
    return max([now, *moments])


def _payload(episode: Episode, new: list[Event]) -> str:
    instance = episode.instance
    history = ",".join([*episode.past, *(msgspec.json.encode(event).decode() for event in new)])
    rest = {
        "input": json_token(instance.input_text),
        "instanceId": instance.instance_id,
        "isReplaying": False,
        "parentInstanceId": None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
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


class _Step:
    """Collects what one episode appends to the history."""

    def __init__(self, episode: Episode, past: list[Event], new: list[Event], now: datetime) -> None:
        self.episode, self.past, self.new, self.now = episode, past, new, now

    def _played(self, *more: Event) -> list[Event]:
        events = [*self.new, *more]
        for item in events:
            item["IsPlayed"] = item["EventType"] != EventType.ORCHESTRATOR_STARTED
        return events

    def _confirmations(self, outcome: ReplayOutcome) -> list[Event]:
        confirmed = []
        for decision in outcome.decisions:
            if decision.fire_at is not None:
                members: dict[str, object] = {"FireAt": utc_text(decision.fire_at)}
                confirmed.append(event(EventType.TIMER_CREATED, self.now, decision.task_id, **members))
            else:
                members = {
                    "Name": decision.name,
                    "Version": "",
                    "Input": _one_element(decision),
                    "Tags": None,
                }
                confirmed.append(event(EventType.TASK_SCHEDULED, self.now, decision.task_id, **members))
        return confirmed

    def go_on(self, outcome: ReplayOutcome, reply: OrchestratorReply) -> EpisodeChange:
        completed = event(EventType.ORCHESTRATOR_COMPLETED, self.now)
        return EpisodeChange(
            history=self._played(*self._confirmations(outcome), completed),
            status=Status.RUNNING,
            custom_status=reply.custom_status,
            updated=self.now,
            activities=[(d.task_id, d.name, _one_element(d)) for d in outcome.decisions if not d.is_timer],
            timers=[(d.task_id, d.fire_at) for d in outcome.decisions if d.fire_at is not None],
        )

    def end(
        self,
        status: Status,
        output: str | None,
        *,
        outcome: ReplayOutcome | None = None,
        custom_status: str | None = None,
    ) -> EpisodeChange:
        used = [item["EventId"] for item in [*self.past, *self.new]]
        next_id = outcome.next_id if outcome else max(used) + 1
        completed = event(
            EventType.EXECUTION_COMPLETED,
            self.now,
            next_id,
            OrchestrationStatus=int(status),
            Result=output,
            FailureDetails=None,
        )
        # Decisions that are still open at the end are cancelled timers; they are recorded and never fire.
        confirmed = self._confirmations(outcome) if outcome else []
        return EpisodeChange(
            history=self._played(*confirmed, completed, event(EventType.ORCHESTRATOR_COMPLETED, self.now)),
            status=status,
            custom_status=custom_status,
            updated=self.now,
            output=output,
        )

    def start_over(self, outcome: ReplayOutcome, reply: OrchestratorReply) -> EpisodeChange:
        instance = self.episode.instance
        execution_id = uuid.uuid4().hex
        # The SDK gave JSON text; stored like a client's input it is the JSON of that text.
        input_text = json.dumps(outcome.continued_input, ensure_ascii=False)
        started = execution_started(instance.instance_id, execution_id, instance.name, input_text, self.now)
        return EpisodeChange(
            history=[],
            status=Status.RUNNING,
            custom_status=reply.custom_status,
            updated=self.now,
            starts_over=(execution_id, input_text),
            messages=[started, *outcome.carried_events],
        )


def _one_element(decision: Decision) -> str:
    """An activity's input is stored as a JSON array of one: the JSON text that the SDK made."""
    return json.dumps([decision.input_text], ensure_ascii=False)
