"""What can be chosen for one connector."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from testconnector.limits import RateLimits
from testconnector.order import USUAL_PATTERN


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen, and what holds if nothing is.

    ``require_token``: what a bearer token for the API must begin with; None lets everything in.
    ``limits``: hold rate limits. ``stream_pace``: seconds between two requests of a stream, else 429.
    ``only_known``: a conversation that was neither created nor told here is not found.
    ``sequence``: how a text tells its number, a regular expression.
    ``keep_bodies``: off for a bench, where only the counts matter.
    ``clock``: seconds, for limits, streams and the record.
    """

    app_id: str = "9b2f6f0e-3a51-4d57-9d0b-0a4f5e1c7d22"
    require_token: str | None = None
    limits: RateLimits | None = None
    stream_pace: float = 0.0
    stream_longest: float = 120.0
    only_known: bool = False
    sequence: str = USUAL_PATTERN
    keep_bodies: bool = True
    most_calls: int = 20_000
    most_conversations: int = 100_000
    faults: Sequence[Any] = ()
    clock: Callable[[], float] = time.monotonic
