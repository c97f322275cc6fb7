"""A history as an orchestration left it in its task hub, kept in a file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from devhost.durable.history import Event, EventType, Status
from devhost.durable.records import Episode, Instance

HISTORIES = Path(__file__).parent / "histories"
# What the host hands to the orchestrator; the other events are what the orchestrator decided.
MESSAGES = {
    EventType.EXECUTION_STARTED,
    EventType.TASK_COMPLETED,
    EventType.TASK_FAILED,
    EventType.TIMER_FIRED,
    EventType.EVENT_RAISED,
}
FRAME = {EventType.ORCHESTRATOR_STARTED, EventType.ORCHESTRATOR_COMPLETED}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of an orchestration: the events before it, what came, and what the orchestrator decided."""

    past: list[Event]
    began_at: str
    messages: list[Event]
    decisions: list[Event]


class RecordedHistory(msgspec.Struct, frozen=True, kw_only=True):
    """``happened``: what the user and the world did; ``history``: the events of the task hub."""

    happened: str
    orchestrator: str
    history: list[Event]

    @classmethod
    def read(cls, path: Path) -> "RecordedHistory":
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def write(self, path: Path) -> None:
        """Write it with a line for each event."""
        events = ",\n".join(json.dumps(one, ensure_ascii=False) for one in self.history)
        head = json.dumps({"happened": self.happened, "orchestrator": self.orchestrator}, indent=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{head.removesuffix(chr(10) + "}")},\n "history": [\n{events}\n]}}\n', "utf-8")

    @property
    def started(self) -> Event:
        return next(one for one in self.history if one["EventType"] == EventType.EXECUTION_STARTED)

    @property
    def has_ended(self) -> bool:
        return any(one["EventType"] == EventType.EXECUTION_COMPLETED for one in self.history)

    @property
    def given(self) -> Any:
        """The orchestration's input."""
        return json.loads(json.loads(self.started["Input"]))

    def steps(self) -> Iterator[Step]:
        begins = [
            number
            for number, one in enumerate(self.history)
            if one["EventType"] == EventType.ORCHESTRATOR_STARTED
        ]
        for first, last in zip(begins, [*begins[1:], len(self.history)], strict=True):
            events = [one for one in self.history[first:last] if one["EventType"] not in FRAME]
            yield Step(
                past=self.history[:first],
                began_at=self.history[first]["Timestamp"],
                messages=[one for one in events if one["EventType"] in MESSAGES],
                decisions=[one for one in events if one["EventType"] not in MESSAGES],
            )

    def before(self, steps: int) -> list[Event]:
        """The events of its first ``steps`` steps."""
        pasts = [step.past for step in self.steps()]
        return [*pasts, self.history][steps]

    def episode(self, step: Step) -> Episode:
        """This step as a host makes it: the messages have just come."""
        instance = self.started["OrchestrationInstance"]
        return Episode(
            Instance(
                instance["InstanceId"],
                instance["ExecutionId"],
                self.orchestrator,
                Status.RUNNING,
                self.started["Input"],
                None,
                None,
                self.started["Timestamp"],
                step.began_at,
            ),
            [msgspec.json.encode(one).decode() for one in step.past],
            [{**one, "IsPlayed": False} for one in step.messages],
            0,
        )


def activities_in(events: list[Event]) -> Iterator[tuple[str, Any, Event | None]]:
    """Each activity function that was called: its name, what it was given, and how it ended, if it has."""
    ended = {
        one["TaskScheduledId"]: one
        for one in events
        if one["EventType"] in (EventType.TASK_COMPLETED, EventType.TASK_FAILED)
    }
    for one in events:
        if one["EventType"] == EventType.TASK_SCHEDULED:
            yield one["Name"], given_to_activity(one), ended.get(one["EventId"])


def given_to_activity(scheduled: Event) -> Any:
    """The one argument of the activity function: JSON in an array in JSON, as the SDK makes it."""
    (text,) = json.loads(scheduled["Input"])
    return json.loads(text)


def result_of(ended: Event) -> Any:
    """What an activity function returned; None where it broke."""
    result = ended.get("Result")
    return json.loads(result) if isinstance(result, str) else result
