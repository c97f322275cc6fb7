"""What the task hub keeps, and what one step changes in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from devhost.durable.history import Event, Status


class InstanceActive(Exception):
    """An instance with this id exists and has not ended; `status` is where it stands."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Instance:
    """One orchestration instance. Texts are JSON texts; moments are UTC texts."""

    instance_id: str
    execution_id: str
    name: str
    status: Status
    input_text: str | None
    output: str | None
    custom_status: str | None
    created: str
    updated: str


@dataclass(frozen=True, slots=True)
class Episode:
    """An instance with its stored history and the messages that wait for it."""

    instance: Instance
    past: list[str]
    messages: list[Event]
    last_message_id: int


@dataclass(frozen=True, slots=True)
class ActivityWork:
    """An activity that has no result yet."""

    activity_id: int
    instance_id: str
    execution_id: str
    task_id: int
    name: str
    input_text: str | None


@dataclass(frozen=True, slots=True)
class EpisodeChange:
    """All that one episode changes. `history` replaces the old one when `starts_over` is set."""

    history: Sequence[Event]
    status: Status
    custom_status: str | None
    updated: datetime
    output: str | None = None
    activities: Sequence[tuple[int, str, str | None]] = ()
    timers: Sequence[tuple[int, datetime]] = ()
    starts_over: tuple[str, str | None] | None = None  # new execution id and its input
    messages: Sequence[Event] = ()  # for the new execution
