"""Replays an orchestrator's actions against its history, as the Durable Task Framework does.

The function itself was called once with the whole history and gave all its actions since the start. Here the
events are fed in order to those actions: whatever is invoked takes the next id, and what the history has not
confirmed at the end is new: a decision.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from devhost.durable.action_replay import ActionReplay
from devhost.durable.decision import RECORDS, Decision, NonDeterminism
from devhost.durable.history import Event, EventType, parse_utc
from devhost.durable.http_polling import USUAL_PAUSE, HttpPolling
from devhost.durable.orchestrator_reply import OrchestratorReply
from devhost.durable.replay_context import ReplayContext

_SUCCEEDED = (EventType.TASK_COMPLETED, EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED)
_FAILED = (EventType.TASK_FAILED, EventType.SUB_ORCHESTRATION_INSTANCE_FAILED)


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What the episode decided.

    `is_finished`: the actions ended, and no task is open.
    `is_stuck`: the function has returned and no task is open, but the actions wait for an external event,
    as they do when `task_any` gets one task twice.
    `is_suspended`: events are held back until the orchestration is resumed.
    """

    decisions: list[Decision]
    is_finished: bool
    is_stuck: bool
    is_suspended: bool
    next_id: int
    continued_input: str | None = None
    continues_as_new: bool = False
    carried_events: list[Event] = field(default_factory=list)


class _Replay:
    def __init__(
        self, reply: OrchestratorReply, instance_id: str, execution_id: str, http_pause: timedelta
    ) -> None:
        self._reply = reply
        self._context = ReplayContext(instance_id, execution_id)
        self._actions = ActionReplay(reply.actions, self._context, HttpPolling(self._context, http_pause))
        self._is_suspended = False
        self._held: deque[Event] = deque()

    def outcome(self) -> ReplayOutcome:
        context, ended = self._context, self._actions.has_ended
        has_returned = self._reply.is_done or self._reply.error is not None
        is_over = has_returned and not context.has_open_tasks and not self._is_suspended
        return ReplayOutcome(
            decisions=[context.decisions[task_id] for task_id in sorted(context.decisions)],
            is_finished=is_over and ended,
            is_stuck=is_over and not ended,
            is_suspended=self._is_suspended,
            next_id=context.next_id,
            continued_input=context.continued[-1] if context.continued else None,
            continues_as_new=bool(context.continued) and self._reply.error is None,
            carried_events=context.carried,
        )

    def feed(self, event: Event) -> None:
        kind = event["EventType"]
        if kind == EventType.EXECUTION_RESUMED:
            self._resume()
        elif self._is_suspended:
            if kind != EventType.EXECUTION_SUSPENDED:
                self._held.append(event)
        elif kind == EventType.EXECUTION_SUSPENDED:
            self._is_suspended = True
            self._context.freeze()
        else:
            self._take(kind, event)

    def _resume(self) -> None:
        self._is_suspended = False
        self._context.thaw()
        held, self._held = self._held, deque()
        for event in held:
            self.feed(event)

    def _take(self, kind: int, event: Event) -> None:
        if kind == EventType.ORCHESTRATOR_STARTED:
            self._context.now = parse_utc(event["Timestamp"])
        elif kind == EventType.EXECUTION_STARTED:
            self._actions.advance()
        elif kind in RECORDS:
            self._confirm(event)
        elif kind in _SUCCEEDED or kind in _FAILED:
            self._context.close(event["TaskScheduledId"], failed=kind in _FAILED, result=event.get("Result"))
        elif kind == EventType.TIMER_FIRED:
            self._context.close(event["TimerId"], failed=False)
        elif kind == EventType.EVENT_RAISED:
            self._context.raise_event(event)

    def _confirm(self, event: Event) -> None:
        try:
            self._context.confirm(event)
        except NonDeterminism as found:
            raise NonDeterminism(f"{found}{self._actions.hint()}") from None


def replay(
    events: Iterable[Event],
    reply: OrchestratorReply,
    *,
    instance_id: str,
    execution_id: str,
    http_pause: timedelta = USUAL_PAUSE,
) -> ReplayOutcome:
    """Feed all events, old and new in order, to the actions. Raises OrchestrationFault.

    `http_pause`: how long call_http waits before it asks again, where the answer does not say it.
    """
    run = _Replay(reply, instance_id, execution_id, http_pause)
    for event in events:
        run.feed(event)
    return run.outcome()
