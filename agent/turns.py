"""A turn is taken once, however often the channel delivers it, and its user is told within its budget."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

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
from agent.turn_budget import LEAST_SECONDS, TurnBudget, seconds_until
from agent.turn_claim import CLAIM_HOLDS, TurnClaim, TurnInProgress, TurnResponse
from agent.turn_replies import TurnReplies

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 0.25
SHORTEST_NOTE_SECONDS = 0.5


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
    claim = await _claim_and_hear(incoming, conversation, budget=budget, services=services)
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
        async with replies.in_time():
            try:
                response = await answer(replies)
            except ConversationGone:
                await services.conversations.mark_gone(conversation, at=clock.now())
    except Exception as error:
        if not replies.is_one_on_its_way:
            is_to_tell = not (replies.claim.sent_ids or isinstance(error, ChannelError | TurnInProgress))
            await _give_up(
                replies.claim, tell=incoming if is_to_tell else None, budget=budget, services=services
            )
        raise
    acknowledged = msgspec.structs.replace(replies.claim, response=response, state="acknowledged")
    await _note(acknowledged, budget=budget, services=services)
    return response


async def _claim_and_hear(
    incoming: IncomingActivity, conversation: Conversation, *, budget: TurnBudget, services: Services
) -> TurnClaim:
    """Claim the turn, and keep what it tells of its conversation. Where that breaks, its user is told so."""
    claim, heard = await asyncio.gather(
        _claim(incoming.turn_key, budget=budget, services=services),
        _hear(conversation, budget=budget, services=services),
        return_exceptions=True,
    )
    if isinstance(claim, BaseException):
        if not isinstance(claim, TurnInProgress):
            await _give_up(None, tell=incoming, budget=budget, services=services)
        raise claim
    if isinstance(heard, BaseException) and claim.state != "acknowledged":
        await _give_up(claim, tell=incoming, budget=budget, services=services)
        raise heard
    return claim


async def _claim(turn_key: str, *, budget: TurnBudget, services: Services) -> TurnClaim:
    claims, clock = services.turn_claims, services.clock
    async with asyncio.timeout(seconds_until(budget.speaks_by, clock.now(), at_least=LEAST_SECONDS)):
        if mine := await claims.insert(turn_key, at=clock.now()):
            return mine
    speaks_by = budget.of_redelivery.speaks_by
    async with asyncio.timeout(seconds_until(speaks_by, clock.now(), at_least=LEAST_SECONDS)):
        return await _claim_of_another(turn_key, claims=claims, clock=clock)


async def _hear(conversation: Conversation, *, budget: TurnBudget, services: Services) -> None:
    now = services.clock.now()
    async with asyncio.timeout(seconds_until(budget.speaks_by, now, at_least=LEAST_SECONDS)):
        await services.conversations.heard(conversation, at=now)


async def _give_up(
    claim: TurnClaim | None, *, tell: IncomingActivity | None, budget: TurnBudget, services: Services
) -> None:
    """Tell the user of the trouble, and have the next delivery take the turn up at once; later, if one that
    died may have said something. The user first: what broke may be the storage."""
    if tell is not None:
        await services.troubles.tell(tell)
    if claim is not None and not claim.is_uncertain:
        released = msgspec.structs.replace(claim, state="released")
        await _note(released, budget=budget, services=services)


async def _note(claim: TurnClaim, *, budget: TurnBudget, services: Services) -> None:
    """Write how the turn ended. Where that breaks, the channel's answer is the same: all *is* said, or it
    will be by the next delivery, which waits until this one's claim is old."""
    left = seconds_until(budget.channel_ends_at, services.clock.now(), at_least=SHORTEST_NOTE_SECONDS)
    try:
        async with asyncio.timeout(left):
            await services.turn_claims.write(claim)
    except Exception as error:  # noqa: BLE001 - whatever storage raises; it must not hide how the turn ended
        log.warning("Turn %s is not noted as %s: %s", claim.turn_key, claim.state, type(error).__name__)


async def claim_turn(
    turn_key: str, *, claims: TurnClaims, clock: Clock, is_lasting: bool = False
) -> TurnClaim:
    """Claim the turn, or learn that it is acknowledged, or take it over from a delivery that failed or died.

    While another delivery may still be alive this waits, at most CLAIM_HOLDS. A lasting claim is not
    dropped with the old ones. Raises TurnInProgress when the other one is alive for longer.
    """
    mine = await claims.insert(turn_key, at=clock.now(), is_lasting=is_lasting)
    return mine or await _claim_of_another(turn_key, claims=claims, clock=clock, is_lasting=is_lasting)


async def _claim_of_another(
    turn_key: str, *, claims: TurnClaims, clock: Clock, is_lasting: bool = False
) -> TurnClaim:
    """As ``claim_turn``, where another delivery has claimed the turn before."""
    started = clock.now()
    while True:
        now = clock.now()
        claim = await claims.read(turn_key)
        if claim is None and (mine := await claims.insert(turn_key, at=now, is_lasting=is_lasting)):
            return mine
        if claim and claim.state == "acknowledged":
            return claim
        has_died = claim is not None and now - claim.claimed_at >= CLAIM_HOLDS
        may_take = claim is not None and (has_died or claim.state == "released")
        if claim and may_take and (mine := await claims.take_over(claim, at=now)):
            return msgspec.structs.replace(mine, is_resumed=True, is_uncertain=claim.state == "claimed")
        if now - started > CLAIM_HOLDS:
            raise TurnInProgress("another delivery of this turn is still at work")
        await clock.sleep(LOOK_AGAIN_SECONDS)
