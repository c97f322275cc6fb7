"""What is said in one turn: each reply once, however often the channel delivers the turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec

from agent.conversation import Place
from agent.delivery_record import WhenAmbiguous
from agent.ports import (
    ChannelBusy,
    ChannelError,
    ChannelRefused,
    Clock,
    Connector,
    DeliveryAmbiguous,
    Sent,
    TurnClaims,
)
from agent.sizing import fitted
from agent.turn_budget import LEAST_SECONDS, TurnBudget, seconds_until
from agent.turn_claim import TurnClaim, TurnInProgress
from agent.view import View

# In a turn a busy channel is waited for this long at most; the user waits too.
LONGEST_WAIT = timedelta(seconds=2)
MOST_TRIES = 3
# A claim as old as this is renewed before anything is said; a reply takes REPLY_LASTS at most; both together
# are shorter than the time after which another delivery takes the turn over (CLAIM_HOLDS).
RENEW_AFTER = timedelta(seconds=4)
REPLY_LASTS_SECONDS = 5.0


class TurnReplies:
    """Sends the replies of a turn in order, and keeps in ``claim`` what is known of each.

    The row of the claim is their delivery record. It costs one write a reply: the claim itself was written
    before the first one, the write before each next one tells that the one before has arrived, and the
    acknowledgement tells it of the last. So a reply on its way when a delivery dies is the only one of
    which the next delivery does not know. A reply is known by its place in the order: send one after the
    other, and in the same order at each delivery.
    """

    def __init__(
        self,
        claim: TurnClaim,
        *,
        budget: TurnBudget,
        when_ambiguous: WhenAmbiguous,
        max_activity_bytes: int,
        claims: TurnClaims,
        connector: Connector,
        clock: Clock,
    ) -> None:
        self.claim = claim
        self.budget = budget
        self.is_one_on_its_way = False
        self._when_ambiguous = when_ambiguous
        self._max_activity_bytes = max_activity_bytes
        self._claims = claims
        self._connector = connector
        self._clock = clock
        self._said = 0
        self._limit: asyncio.Timeout | None = None

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """The turn within its budget: until something that it says is on its way, it may not last as long.

        Raises TimeoutError.
        """
        speaks_by = seconds_until(self.budget.speaks_by, self._clock.now(), at_least=LEAST_SECONDS)
        async with asyncio.timeout(speaks_by) as self._limit:
            yield

    def opens(self, view: View | None) -> None:
        """The first reply is the beginning of this view; kept with the acknowledgement."""
        self.claim = msgspec.structs.replace(self.claim, view=view)

    @property
    def is_held(self) -> bool:
        """Whether what comes next may have arrived already, and so is not said."""
        return self.claim.is_uncertain and self._when_ambiguous == "hold"

    @property
    def is_anew(self) -> bool:
        """Whether what comes next is said, and was not said before as something else."""
        return self._said >= len(self.claim.sent_ids) and not self.is_held

    def pass_over(self) -> None:
        """The next reply is not said: what follows keeps its place in the order."""
        self._said += 1
        if self._said > len(self.claim.sent_ids):
            self._arrived(None)

    async def keep(self) -> None:
        """Hold the claim for longer, while the turn waits. Raises TurnInProgress when it is another's."""
        now = self._clock.now()
        if now - self.claim.claimed_at < RENEW_AFTER:
            return
        mine = await self._claims.take_over(self.claim, at=now)
        if mine is None:
            raise TurnInProgress("another delivery of this turn has taken it over")
        self.claim = mine

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None) -> str | None:
        """Send a reply, in parts if it is too large; the activity id of the last part.

        One that an earlier delivery of the turn has sent is not sent again; one that was on its way when
        that delivery died may have arrived: what is done then is the setting's. Raises TurnInProgress, and as
        ``Connector.send`` does.
        """
        activity_id = None
        for part in fitted(outgoing, max_bytes=self._max_activity_bytes):
            activity_id = await self._send_once(part, at=at, reply_to_id=reply_to_id)
        return activity_id

    async def offer(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None) -> str | None:
        """Send what the channel need not take; its id, or None where it did not. Raises as ``send``."""
        try:
            return await self._send_once(outgoing, at=at, reply_to_id=reply_to_id)
        except ChannelRefused:
            self._arrived(None)
            return None

    async def _send_once(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None) -> str | None:
        number = self._said
        self._said += 1
        if number < len(self.claim.sent_ids):
            return self.claim.sent_ids[number]
        is_said_again = self.claim.is_uncertain
        if is_said_again:
            self.claim = msgspec.structs.replace(
                self.claim, is_uncertain=False, ambiguities=self.claim.ambiguities + 1
            )
            if self._when_ambiguous == "hold":
                self._arrived(None)
                return None
        if number > 0 or is_said_again:
            mine = await self._claims.write(self.claim)
            if mine is None:
                raise TurnInProgress("another delivery of this turn has taken it over")
            self.claim = mine
        sent = await self._post(outgoing, at=at, reply_to_id=reply_to_id)
        self._arrived(sent.activity_id)
        return sent.activity_id

    async def _post(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None) -> Sent:
        for last_try in (False,) * (MOST_TRIES - 1) + (True,):
            await self.keep()
            self._speaks()
            self.is_one_on_its_way = True
            try:
                async with asyncio.timeout(REPLY_LASTS_SECONDS):
                    sent = await self._connector.send(outgoing, at=at, reply_to_id=reply_to_id)
            except DeliveryAmbiguous:
                raise
            except ChannelError as error:
                self.is_one_on_its_way = False
                if last_try or not isinstance(error, ChannelBusy) or error.retry_after > LONGEST_WAIT:
                    raise
                await self._clock.sleep(error.retry_after.total_seconds())
                continue
            self.is_one_on_its_way = False
            return sent
        raise AssertionError("the last try returns or raises")

    def _speaks(self) -> None:
        if self._limit:
            ends_in = seconds_until(self.budget.ends_at, self._clock.now())
            self._limit.reschedule(asyncio.get_running_loop().time() + ends_in)

    def _arrived(self, activity_id: str | None) -> None:
        self.claim = msgspec.structs.replace(self.claim, sent_ids=(*self.claim.sent_ids, activity_id))
