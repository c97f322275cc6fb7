"""What was seen in a soak run: the verdict is given on this alone. Times are seconds of one clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Says = Literal["taken on", "done", "broke"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One delivery of a turn to a host; ``status`` is None where there was no answer.

    ``was_cut``: its host was killed meanwhile.
    """

    began: float
    ended: float
    status: int | None
    body: Any = None
    was_cut: bool = False

    @property
    def is_acknowledged(self) -> bool:
        return self.status is not None and self.status < 300


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn as it was delivered; ``sent_at`` is its timestamp, ``ambiguities`` those of its claim."""

    number: int
    turn_key: str
    is_button: bool
    sent_at: float
    deliveries: Sequence[Delivery]
    claim_state: str = "acknowledged"
    claim_ambiguities: int = 0


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message that the channel took, and what it says of which turn."""

    number: int
    says: Says
    at: float


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a stream, taken or refused; ``stream_id`` is empty where the first one was refused."""

    stream_id: str
    number: int | None
    at: float
    stream_type: str
    was_taken: bool
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """``ran_the_hub``: the killed process ran the orchestrations. ``up_at``: when it was back."""

    at: float
    up_at: float
    pid: int
    ran_the_hub: bool


@dataclass(frozen=True, kw_only=True)
class Entered:
    """A handler of a job was entered, by which process; ``left_at`` is None where that was killed in it."""

    job_id: str
    what: str
    at: float
    pid: int
    left_at: float | None = None


@dataclass(frozen=True, kw_only=True)
class Sends:
    """A delivery of the ledger."""

    delivery_id: str
    state: str
    has_ended: bool
    ambiguities: int = 0


@dataclass(frozen=True, kw_only=True)
class SoakRecord:
    """``instances``: the runtime status of each orchestration; ``running``: what runs still, by the board."""

    turns: Sequence[Turn]
    said: Sequence[Said] = ()
    parts: Sequence[Part] = ()
    kills: Sequence[Kill] = ()
    entered: Sequence[Entered] = ()
    ledger: Sequence[Sends] = ()
    instances: dict[str, str] = field(default_factory=dict)
    running: Sequence[str] = ()
    unread: int = 0
