"""What actions are invoked on while a history is replayed: ids, open tasks, decisions, waits for events."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime

from devhost.durable.decision import Decision, DecisionKind, OrchestrationFault, require_match
from devhost.durable.history import Event, utc_text
from devhost.durable.replay_task import ReplayTask, done

_MAX_ACTIONS = 100_000
_ENTITY_CALLS = uuid.UUID("8d4d4ae2-5f0a-4f5e-9f0e-2f6a0b8c1c57")  # makes the ids of entity calls repeatable


class ReplayContext:
    """Mirrors the Durable Task Framework's orchestration context; `now` is the moment of the step."""

    def __init__(self, instance_id: str, execution_id: str) -> None:
        self._instance_id, self._execution_id = instance_id, execution_id
        self.now = datetime.min.replace(tzinfo=UTC)
        self.next_id = 0
        self.decisions: dict[int, Decision] = {}
        self.continued: list[str | None] = []
        self.carried: list[Event] = []
        self._open: dict[int, ReplayTask] = {}
        self._waiters: dict[str, list[ReplayTask]] = {}
        self._early: Counter[str] = Counter()  # events without a wait; the SDK pairs the values itself
        self._frozen: dict[int, Decision] = {}

    @property
    def has_open_tasks(self) -> bool:
        return bool(self._open)

    def _take_id(self) -> int:
        task_id = self.next_id
        self.next_id += 1
        if task_id > _MAX_ACTIONS:
            raise OrchestrationFault(
                f"Maximum amount of orchestration actions ({_MAX_ACTIONS}) has been reached."
            )
        return task_id

    def _decide(self, decision: Decision) -> ReplayTask:
        self.decisions[decision.task_id] = decision
        self._open[decision.task_id] = task = ReplayTask()
        return task

    def schedule(self, name: str, input_text: str | None) -> ReplayTask:
        """Call an activity."""
        return self._decide(Decision(DecisionKind.ACTIVITY, self._take_id(), name, input_text))

    def start_child(self, name: str, input_text: str | None, instance_id: str) -> ReplayTask:
        """Start a sub-orchestration; without an id it gets one made of this execution's and the task's."""
        task_id = self._take_id()
        child_id = instance_id or f"{self._execution_id}:{task_id}"
        return self._decide(
            Decision(DecisionKind.SUB_ORCHESTRATION, task_id, name, input_text, instance_id=child_id)
        )

    def create_timer(self, fire_at: datetime, *, is_cancelled: bool = False) -> ReplayTask:
        """Create a timer; a cancelled one is recorded, fires one day, and nobody waits for it."""
        task_id = self._take_id()
        task = self._decide(Decision(DecisionKind.TIMER, task_id, fire_at=fire_at))
        if is_cancelled:
            del self._open[task_id]
            task.end(failed=True)
        return task

    def send_to_entity(
        self, entity_id: str, operation: str, input_text: str | None, *, is_signal: bool
    ) -> ReplayTask:
        """Ask an entity for an operation; a call is answered by an event whose name is the request's id."""
        task_id = self._take_id()
        request_id = str(uuid.uuid5(_ENTITY_CALLS, f"{self._instance_id}/{self._execution_id}/{task_id}"))
        request: dict[str, object] = {"op": operation}
        if is_signal:
            request["signal"] = True
        request |= {
            # Like every input: the JSON of the JSON text that the SDK made.
            "input": None if input_text is None else json.dumps(input_text, ensure_ascii=False),
            "id": request_id,
            "parent": self._instance_id,
            "parentExecution": self._execution_id,
            "Timestamp": utc_text(self.now),
        }
        text = json.dumps(request, ensure_ascii=False)
        self.decisions[task_id] = Decision(DecisionKind.EVENT, task_id, "op", text, instance_id=entity_id)
        return done() if is_signal else self.wait_for_event(request_id)

    def wait_for_event(self, name: str) -> ReplayTask:
        """Wait for an external event, or take one that came early."""
        if self._early[name]:
            self._early[name] -= 1
            return done()
        task = ReplayTask()
        self._waiters.setdefault(name, []).append(task)
        return task

    def continue_as_new(self, input_text: str | None) -> None:
        """Have the execution followed by one with this input."""
        self.continued.append(input_text)

    def raise_event(self, event: Event) -> None:
        """Hand an event to the newest wait for it, as the extension does, or keep it."""
        if self.continued:
            self.carried.append(event)
            return
        waiters = self._waiters.get(event["Name"])
        if waiters:
            waiters.pop().end()
        else:
            self._early[event["Name"]] += 1

    def close(self, task_id: int, *, failed: bool, result: str | None = None) -> None:
        """End the open task of this id; an id that is not open is of no interest."""
        task = self._open.pop(task_id, None)
        if task is not None:
            task.end(failed=failed, result=result)

    def confirm(self, event: Event) -> None:
        """Take a decision away that the history has. Raises NonDeterminism."""
        require_match(event, self.decisions.pop(event["EventId"], None))

    def freeze(self) -> None:
        """Keep the decisions back while the orchestration is suspended."""
        self._frozen, self.decisions = self._frozen | self.decisions, {}

    def thaw(self) -> None:
        """Give the decisions back."""
        self.decisions, self._frozen = self._frozen | self.decisions, {}
