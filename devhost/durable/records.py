"""What the task hub keeps, and what one step changes in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from devhost.durable.history import Event, Status


class InstanceActive(Exception):
    """An instance with this id exists and has not ended; `status` is where it stands."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Parent:
    """The orchestration that started a sub-orchestration, and the id of its task there."""

    instance_id: str
    execution_id: str
    task_id: int
    name: str


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
    parent: Parent | None = None


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
class ChildStart:
    """A sub-orchestration to start; `started` is its first event, and names the parent."""

    instance_id: str
    execution_id: str
    name: str
    task_id: int
    started: Event


@dataclass(frozen=True, slots=True)
class EpisodeChange:
    """All that one episode changes. `history` replaces the old one when `starts_over` is set.

    `to_parent`: how a sub-orchestration ended, for the orchestration that started it.
    `entity_messages`: entity id (`@name@key`) and JSON text of each request to an entity.
    """

    history: Sequence[Event]
    status: Status
    custom_status: str | None
    updated: datetime
    output: str | None = None
    activities: Sequence[tuple[int, str, str | None]] = ()
    timers: Sequence[tuple[int, datetime]] = ()
    starts_over: tuple[str, str | None] | None = None  # new execution id and its input
    messages: Sequence[Event] = ()  # for the new execution
    children: Sequence[ChildStart] = ()
    to_parent: Event | None = None
    entity_messages: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """Work that a transaction has made: ids of activities, and who has messages now."""

    activities: Sequence[int] = ()
    wake_instances: Sequence[str] = ()
    wake_entities: Sequence[str] = ()
    has_timers: bool = False  # of which the steps do not tell


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity that exists. `state` is a JSON text; moments are UTC texts."""

    entity_id: str
    state: str | None
    created: str
    updated: str


@dataclass(frozen=True, slots=True)
class EntityWork:
    """An entity with the requests that wait for it, oldest first, as JSON texts."""

    entity_id: str
    exists: bool
    state: str | None
    messages: list[str]
    last_message_id: int


@dataclass(frozen=True, slots=True)
class EntityChange:
    """All that one batch of operations changes.

    `to_instances`: instance id, execution id (None: whichever runs) and the EventRaised of each answer.
    `signals`: entity id and JSON text of each request to an entity.
    """

    exists: bool
    state: str | None
    updated: datetime
    to_instances: Sequence[tuple[str, str | None, Event]] = field(default=())
    signals: Sequence[tuple[str, str]] = field(default=())
