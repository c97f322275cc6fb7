"""A turn is taken once, however often the channel delivers it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec

from agent.conversation import conversation_of
from agent.incoming import IncomingActivity
from agent.ports import (
    Clock,
    Connector,
    ConversationGone,
    ConversationStore,
    DeliveryOptions,
    TurnClaims,
)
from agent.turn_claim import TurnClaim, TurnInProgress, TurnResponse
from agent.turn_replies import TurnReplies

# A delivery is ended after TURN_LASTS; so one that holds its claim for longer than CLAIM_HOLDS is dead.
TURN_LASTS = timedelta(seconds=9)
CLAIM_HOLDS = timedelta(seconds=10)
LOOK_AGAIN_SECONDS = 0.25


async def take_turn(
    incoming: IncomingActivity,
    *,
    answer: Callable[[TurnReplies], Awaitable[TurnResponse | None]],
    conversations: ConversationStore,
    claims: TurnClaims,
    connector: Connector,
    options: DeliveryOptions,
    clock: Clock,
) -> TurnResponse | None:
    """Take the turn by ``answer`` unless another delivery of it did; what to put into the HTTP response.

    A turn that failed stays unacknowledged, so that its next delivery takes it up again: at once, unless a
    reply of it may still be on its way.
    Raises TurnInProgress, TimeoutError after TURN_LASTS, and what ``answer`` raises but ConversationGone.
    """
    conversation = conversation_of(incoming)
    claim, heard = await asyncio.gather(
        claim_turn(incoming.turn_key, claims=claims, clock=clock),
        conversations.heard(conversation, at=clock.now()),
        return_exceptions=True,
    )
    if isinstance(claim, BaseException):
        raise claim
    if claim.state == "acknowledged":
        return claim.response
    if isinstance(heard, BaseException):
        await _release(claim, claims=claims)
        raise heard
    replies = TurnReplies(
        claim,
        when_ambiguous=options.ambiguous_sends or "resend",
        max_activity_bytes=options.max_activity_bytes,
        claims=claims,
        connector=connector,
        clock=clock,
    )
    response = None
    ends_at = claim.claimed_at + TURN_LASTS  # counted as others count it: the claim's write may be slow
    try:
        async with asyncio.timeout((ends_at - clock.now()).total_seconds()):
            try:
                response = await answer(replies)
            except ConversationGone:
                await conversations.mark_gone(conversation, at=clock.now())
    except Exception:
        if not replies.is_one_on_its_way:
            await _release(replies.claim, claims=claims)
        raise
    await claims.write(msgspec.structs.replace(replies.claim, state="acknowledged", response=response))
    return response


async def _release(claim: TurnClaim, *, claims: TurnClaims) -> None:
    """Have the next delivery take the turn up at once; later, if one that died may have said something."""
    if not claim.is_uncertain:
        await claims.write(msgspec.structs.replace(claim, state="released"))


async def claim_turn(
    turn_key: str, *, claims: TurnClaims, clock: Clock, is_lasting: bool = False
) -> TurnClaim:
    """Claim the turn, or learn that it is acknowledged, or take it over from a delivery that failed or died.

    While another delivery may still be alive this waits, at most CLAIM_HOLDS. A lasting claim is not
    dropped with the old ones. Raises TurnInProgress when the other one is alive for longer.
    """
    started = clock.now()
    claim = None
    while True:
        now = clock.now()
        if claim is None and (mine := await claims.insert(turn_key, at=now, is_lasting=is_lasting)):
            return mine
        claim = await claims.read(turn_key)
        if claim and claim.state == "acknowledged":
            return claim
        has_died = claim is not None and now - claim.claimed_at >= CLAIM_HOLDS
        may_take = claim is not None and (has_died or claim.state == "released")
        if claim and may_take and (mine := await claims.take_over(claim, at=now)):
            return msgspec.structs.replace(mine, is_resumed=True, is_uncertain=claim.state == "claimed")
        if now - started > CLAIM_HOLDS:
            raise TurnInProgress("another delivery of this turn is still at work")
        await clock.sleep(LOOK_AGAIN_SECONDS)
