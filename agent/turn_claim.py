"""The claim on a turn: claimed, started, acknowledged; so that a turn delivered twice is taken once."""

from datetime import datetime
from typing import Any, Literal

import msgspec


class TurnResponse(msgspec.Struct, frozen=True):
    """What is answered in the HTTP response of an invoke or of a turn with expected replies."""

    status: int
    body: Any = None


class TurnClaim(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the turn claims.

    ``version`` is the store's own mark of the row's state; ``is_resumed``: taken over from a delivery
    that died.
    """

    turn_key: str
    state: Literal["claimed", "started", "acknowledged"]
    claimed_at: datetime
    response: TurnResponse | None = None
    version: str = ""
    is_resumed: bool = False
