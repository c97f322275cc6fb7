"""Replays an orchestrator's actions against its history, as the Durable Task Framework does.

The function itself was called once with the whole history and gave all its actions since the start. Here the
events are fed in order to those actions: whatever is invoked takes the next id, and what the history has not
confirmed at the end is new: a decision.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from devhost.durable.history import Event, EventType, parse_utc
from devhost.durable.orchestrator_reply import ActionType, OrchestratorReply
from devhost.durable.replay_task import ReplayTask, done

_MAX_ACTIONS = 100_000


class OrchestrationFault(Exception):
    """The execution cannot go on; the message becomes its failure."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An activity to schedule (`name`, `input_text`) or a timer to create (`fire_at`) under a task id."""

    task_id: int
    name: str = ""
    input_text: str | None = None
    fire_at: datetime | None = None

    @property
    def is_timer(self) -> bool:
        return self.fire_at is not None


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What the episode decided.

    `is_finished`: the actions ended, and no task is open.
    `is_stuck`: the function has returned and no task is open, but the actions wait for an external event,
    as they do when `task_any` gets one task twice.
    """

    decisions: list[Decision]
    is_finished: bool
    is_stuck: bool
    next_id: int
    continued_input: str | None = None
    continues_as_new: bool = False
    carried_events: list[Event] = field(default_factory=list)


class _Replay:
    def __init__(self, reply: OrchestratorReply) -> None:
        self._reply = reply
        self._position = 0
        self._has_started = False
        self._next_id = 0
        self._now = datetime.min.replace(tzinfo=UTC)
        self._open: dict[int, ReplayTask] = {}
        self._decisions: dict[int, Decision] = {}
        self._waiters: dict[str, list[ReplayTask]] = {}
        self._early: Counter[str] = Counter()  # events without a wait; the SDK pairs the values itself
        self._carried: list[Event] = []
        self._continued: list[str | None] = []

    def outcome(self) -> ReplayOutcome:
        ended = self._has_started and self._position > len(self._reply.actions)
        is_over = self._reply.is_done or self._reply.error is not None
        return ReplayOutcome(
            decisions=[self._decisions[task_id] for task_id in sorted(self._decisions)],
            is_finished=ended and is_over and not self._open,
            is_stuck=is_over and not ended and not self._open,
            next_id=self._next_id,
            continued_input=self._continued[-1] if self._continued else None,
            continues_as_new=bool(self._continued) and self._reply.error is None,
            carried_events=self._carried,
        )

    def feed(self, event: Event) -> None:
        kind = event["EventType"]
        if kind == EventType.ORCHESTRATOR_STARTED:
            self._now = parse_utc(event["Timestamp"])
        elif kind == EventType.EXECUTION_STARTED:
            self._has_started = True
            self._advance()
        elif kind in (EventType.TASK_SCHEDULED, EventType.TIMER_CREATED):
            self._confirm(event)
        elif kind in (EventType.TASK_COMPLETED, EventType.TASK_FAILED):
            self._close(event["TaskScheduledId"], failed=kind == EventType.TASK_FAILED)
        elif kind == EventType.TIMER_FIRED:
            self._close(event["TimerId"], failed=False)
        elif kind == EventType.EVENT_RAISED:
            self._raise_event(event)

    def _advance(self) -> None:
        while self._position < len(self._reply.actions):
            task = self._invoke(self._reply.actions[self._position])
            self._position += 1
            if not task.is_done:
                task.then(self._advance)
                return
        self._position = len(self._reply.actions) + 1

    def _invoke(self, action: dict[str, Any]) -> ReplayTask:
        match action.get("actionType"):
            case ActionType.CALL_ACTIVITY:
                return self._schedule(action)
            case ActionType.CALL_ACTIVITY_WITH_RETRY:
                return self._schedule_with_retry(action)
            case ActionType.CREATE_TIMER:
                timer = self._create_timer(parse_utc(action["fireAt"]))
                if action.get("isCanceled"):
                    self._open.pop(self._next_id - 1)
                    timer.end(failed=True)
                return timer
            case ActionType.WAIT_FOR_EXTERNAL_EVENT:
                return self._wait_for_event(action["externalEventName"])
            case ActionType.CONTINUE_AS_NEW:
                self._continued.append(action.get("input"))
                return done()
            case ActionType.WHEN_ALL | ActionType.WHEN_ANY as kind:
                return self._invoke_together(
                    action["compoundActions"], wait_for_all=kind == ActionType.WHEN_ALL
                )
            case other:
                name = ActionType(other).name if other in list(ActionType) else str(other)
                raise OrchestrationFault(f"devhost does not run the orchestration action {name} yet.")

    def _take_id(self) -> int:
        task_id = self._next_id
        self._next_id += 1
        if task_id > _MAX_ACTIONS:
            raise OrchestrationFault(
                f"Maximum amount of orchestration actions ({_MAX_ACTIONS}) has been reached."
            )
        return task_id

    def _schedule(self, action: dict[str, Any]) -> ReplayTask:
        task_id = self._take_id()
        self._decisions[task_id] = Decision(task_id, action["functionName"], action.get("input"))
        self._open[task_id] = task = ReplayTask()
        return task

    def _create_timer(self, fire_at: datetime) -> ReplayTask:
        task_id = self._take_id()
        self._decisions[task_id] = Decision(task_id, fire_at=fire_at)
        self._open[task_id] = task = ReplayTask()
        return task

    def _schedule_with_retry(self, action: dict[str, Any]) -> ReplayTask:
        options = action["retryOptions"]
        attempts = int(options["maxNumberOfAttempts"])
        interval = timedelta(milliseconds=float(options["firstRetryIntervalInMilliseconds"]))
        whole = ReplayTask()

        def attempt(number: int) -> None:
            call = self._schedule(action)
            call.then(lambda: after(call, number))

        def after(call: ReplayTask, number: int) -> None:
            if not call.failed:
                whole.end()
                return
            # The timer after the last attempt is due at once; it exists because the SDK counts an id for it.
            is_last = number >= attempts
            timer = self._create_timer(self._now if is_last else self._now + interval)
            timer.then(lambda: whole.end(failed=True) if is_last else attempt(number + 1))

        attempt(1)
        return whole

    def _invoke_together(self, actions: list[dict[str, Any]], *, wait_for_all: bool) -> ReplayTask:
        whole = ReplayTask()
        children = [self._invoke(action) for action in actions]
        left = len(children)

        def child_ended() -> None:
            nonlocal left
            left -= 1
            if not wait_for_all or left == 0:
                whole.end()

        if not children:
            whole.end()
        for child in children:
            child.then(child_ended)
        return whole

    def _wait_for_event(self, name: str) -> ReplayTask:
        if self._early[name]:
            self._early[name] -= 1
            return done()
        task = ReplayTask()
        self._waiters.setdefault(name, []).append(task)
        return task

    def _raise_event(self, event: Event) -> None:
        if self._continued:
            self._carried.append(event)
            return
        waiters = self._waiters.get(event["Name"])
        if waiters:
            waiters.pop().end()  # the newest waiter first, as the extension does
        else:
            self._early[event["Name"]] += 1

    def _close(self, task_id: int, *, failed: bool) -> None:
        task = self._open.pop(task_id, None)
        if task is not None:
            task.end(failed=failed)

    def _confirm(self, event: Event) -> None:
        decision = self._decisions.pop(event["EventId"], None)
        is_timer = event["EventType"] == EventType.TIMER_CREATED
        if (
            decision is None
            or decision.is_timer != is_timer
            or (not is_timer and decision.name.lower() != str(event["Name"]).lower())
        ):
            what = "a timer" if is_timer else f"the activity '{event['Name']}'"
            raise OrchestrationFault(
                f"Non-Deterministic workflow detected: the history has {what} as number {event['EventId']}, "
                f"but the orchestrator did not ask for it there this time.{self._hint()}"
            )

    def _hint(self) -> str:
        """Advice about the one way to get here with a deterministic orchestrator."""
        for action in self._reply.actions:
            inside = list(_nested(action))
            has_retry = any(part.get("actionType") == ActionType.CALL_ACTIVITY_WITH_RETRY for part in inside)
            if not (has_retry and any(part.get("isCanceled") for part in inside)):
                continue
            return (
                " A timer that is cancelled after task_any with call_activity_with_retry does this, as on"
                " Azure: let the timer run, or retry in the orchestrator itself."
            )
        return ""


def _nested(action: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield action
    for child in action.get("compoundActions") or ():
        yield from _nested(child)


def replay(events: Iterable[Event], reply: OrchestratorReply) -> ReplayOutcome:
    """Feed all events, old and new in order, to the actions. Raises OrchestrationFault."""
    run = _Replay(reply)
    for event in events:
        run.feed(event)
    return run.outcome()
