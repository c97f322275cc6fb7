"""The claim on a turn, and the delivery record of what is said in it; so that it is taken once."""

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from agent.view import View

# A delivery at work renews its claim well before this; so one that holds it for longer is dead.
CLAIM_HOLDS = timedelta(seconds=10)


class TurnInProgress(Exception):
    """Another delivery of this turn is at work: answer 503, the channel will deliver it again."""


class TurnResponse(msgspec.Struct, frozen=True):
    """What is answered in the HTTP response of an invoke or of a turn with expected replies."""

    status: int
    body: Any = None


class TurnClaim(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the turn claims.

    ``claimed``: a delivery is at work, and its next reply may be on its way; ``released``: it failed, and
    nothing is on its way; ``acknowledged``: all is said. ``sent_ids``: the activity ids of the replies that
    are known to have arrived, in their order. ``ambiguities``: how many replies of a delivery that died may
    have arrived besides. ``view``: how the job is shown that the turn began, its activity id the first of
    ``sent_ids``. ``version`` is the store's own mark of the row's state; ``is_resumed``: taken over
    from a delivery that failed or died; ``is_uncertain``: it died.
    """

    turn_key: str
    state: Literal["claimed", "released", "acknowledged"]
    claimed_at: datetime
    sent_ids: tuple[str | None, ...] = ()
    ambiguities: int = 0
    response: TurnResponse | None = None
    view: View | None = None
    version: str = ""
    is_resumed: bool = False
    is_uncertain: bool = False

    @property
    def opened_view(self) -> View | None:
        """How the job is shown, where the channel told the id of what shows it."""
        if self.view is None or not self.sent_ids or self.sent_ids[0] is None:
            return None
        return msgspec.structs.replace(self.view, activity_id=self.sent_ids[0])
