"""What a crash run leaves to be judged."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.crash.plan import PlannedInstance

ENDED = frozenset({"Completed", "Failed", "Terminated"})


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a dead host's task hub held."""

    unfinished: int = 0
    activities: int = 0
    timers: int = 0
    messages: int = 0
    entity_messages: int = 0


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill: seconds after its process was started, whether that had answered yet, and what it left."""

    after: float
    was_up: bool
    load: Load

    @property
    def hit_work(self) -> bool:
        return self.load.unfinished > 0


@dataclass(frozen=True, kw_only=True)
class Found:
    """An instance at the end; ``parent_id`` is None for one that a client started."""

    instance_id: str
    name: str
    status: str
    output: Any
    parent_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """``notes``: how often each activity began; ``messages``: how often each queue message was taken.

    ``integrity``: what SQLite says of the hub's file; ``orphans``: rows that nobody waits for.
    ``exits``: exit codes of hosts that ended without being killed; ``complaints``: lines of trouble in logs.
    """

    started: list[PlannedInstance]
    found: list[Found]
    kills: list[Kill]
    kills_wanted: int
    notes: Counter[str]
    messages: Counter[str]
    totals: dict[str, Any]
    left_on_queue: int = 0
    poisoned: int = 0
    integrity: str = "ok"
    orphans: list[str] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
