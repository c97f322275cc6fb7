"""A turn is taken once, however often the channel delivers it, and its user is told within its budget."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from agent.conversation import Conversation, conversation_of
from agent.incoming import IncomingActivity
from agent.ports import (
    ChannelError,
    Clock,
    ConversationGone,
    Services,
    TurnClaims,
)
from agent.turn_budget import TurnBudget
from agent.turn_claim import CLAIM_HOLDS, TurnClaim, TurnInProgress, TurnResponse
from agent.turn_replies import TurnReplies

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 0.25


async def take_turn(
    incoming: IncomingActivity,
    *,
    budget: TurnBudget,
    answer: Callable[[TurnReplies], Awaitable[TurnResponse | None]],
    services: Services,
) -> TurnResponse | None:
    """Take the turn by ``answer`` unless another delivery of it did; what to put into the HTTP response.

    A turn that failed stays unacknowledged, so that its next delivery takes it up again: at once, unless a
    reply of it may still be on its way. Where it was not the channel that failed, the user is told so.
    Raises TurnInProgress, TimeoutError when the budget is over, and what ``answer`` raises but
    ConversationGone.
    """
    conversation, clock, options = conversation_of(incoming), services.clock, services.delivery_options
    try:
        claim = await _claim_and_hear(incoming.turn_key, conversation, budget=budget, services=services)
    except TurnInProgress:
        raise
    except Exception:
        await services.troubles.tell(incoming)
        raise
    if claim.state == "acknowledged":
        return claim.response
    replies = TurnReplies(
        claim,
        budget=budget.of_redelivery if claim.is_resumed else budget,
        when_ambiguous=options.ambiguous_sends or "resend",
        max_activity_bytes=options.max_activity_bytes,
        claims=services.turn_claims,
        connector=services.connector,
        clock=clock,
    )
    response = None
    try:
        async with asyncio.timeout(_seconds_until(replies.budget.ends_at, clock)):
            try:
                response = await answer(replies)
            except ConversationGone:
                await services.conversations.mark_gone(conversation, at=clock.now())
    except Exception as error:
        if not replies.is_one_on_its_way:
            if not (replies.claim.sent_ids or isinstance(error, ChannelError | TurnInProgress)):
                await services.troubles.tell(incoming)
            await _release(replies.claim, claims=services.turn_claims)
        raise
    await _acknowledge(msgspec.structs.replace(replies.claim, response=response), claims=services.turn_claims)
    return response


async def _claim_and_hear(
    turn_key: str, conversation: Conversation, *, budget: TurnBudget, services: Services
) -> TurnClaim:
    """Claim the turn, and keep what it tells of its conversation."""
    claims, clock = services.turn_claims, services.clock
    async with asyncio.timeout(_seconds_until(budget.channel_ends_at, clock)):
        claim, heard = await asyncio.gather(
            claim_turn(turn_key, claims=claims, clock=clock),
            services.conversations.heard(conversation, at=clock.now()),
            return_exceptions=True,
        )
    if isinstance(claim, BaseException):
        raise claim
    if isinstance(heard, BaseException) and claim.state != "acknowledged":
        await _release(claim, claims=claims)
        raise heard
    return claim


async def _acknowledge(claim: TurnClaim, *, claims: TurnClaims) -> None:
    """Write that all is said. Where that breaks, the channel is told so all the same: all *is* said."""
    try:
        await claims.write(msgspec.structs.replace(claim, state="acknowledged"))
    except Exception as error:  # noqa: BLE001 - whatever storage raises; a failure would have it said again
        log.warning("Turn %s is answered, and not noted as such: %s", claim.turn_key, type(error).__name__)


async def _release(claim: TurnClaim, *, claims: TurnClaims) -> None:
    """Have the next delivery take the turn up at once; later, if one that died may have said something."""
    if not claim.is_uncertain:
        await claims.write(msgspec.structs.replace(claim, state="released"))


def _seconds_until(time: datetime, clock: Clock) -> float:
    return max((time - clock.now()).total_seconds(), 0.0)


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
