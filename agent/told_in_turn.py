"""Between a turn and the job it began: the job's first follow-up waits for it, or is told in it."""

import asyncio
import logging
from datetime import timedelta

import msgspec

from agent.delivery_record import DeliveryRecord, DeliveryState
from agent.jobs.definition import Job
from agent.ports import Services
from agent.turn_claim import CLAIM_HOLDS, TurnClaim

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 0.25
NOTING_LASTS_SECONDS = 2.0
IN_TURN = "it is told in its turn"
ACKNOWLEDGED_SOON = timedelta(seconds=2)  # as a rule
# A redelivery that waits for a dead delivery's claim takes it over, and acknowledges, before that is told.
REDELIVERY_TAKES = timedelta(seconds=4)


async def acknowledged(job_id: str, *, at_most: timedelta, services: Services) -> TurnClaim | None:
    """The claim of the job's turn, once it is acknowledged; as it is after ``at_most``; None where the turn
    is not known, or died and is not waited for any more."""
    clock = services.clock
    waits_until = clock.now() + at_most
    while True:
        claim = await services.turn_claims.read(job_id)
        if claim is None or claim.state == "acknowledged":
            return claim
        if clock.now() - claim.claimed_at >= CLAIM_HOLDS + REDELIVERY_TAKES:
            return None
        if clock.now() >= waits_until:
            return claim
        await clock.sleep(LOOK_AGAIN_SECONDS)


async def first_telling(job: Job, *, services: Services) -> DeliveryRecord | None:
    """The record of the job's first follow-up, which a delivery of its turn may have begun."""
    return await services.ledger.read(_first_id(job))


def is_of_turn(record: DeliveryRecord) -> bool:
    return record.reason == IN_TURN


async def claim_in_turn(
    job: Job, known: DeliveryRecord | None, *, services: Services
) -> DeliveryRecord | None:
    """Claim the job's first follow-up, to tell it in its turn; None where it is told otherwise.

    ``known``: its record, where an earlier delivery of the turn was to tell it.
    """
    now = services.clock.now()
    if known is None:
        first = DeliveryRecord(
            delivery_id=_first_id(job), state="sending", updated_at=now, attempts=1, reason=IN_TURN
        )
        return await services.ledger.insert(first)
    again = msgspec.structs.replace(known, state="sending", updated_at=now, attempts=known.attempts + 1)
    return await services.ledger.replace(again)


def _first_id(job: Job) -> str:
    return f"{job.job_id}.1"


async def hand_back(delivery: DeliveryRecord, *, services: Services) -> None:
    """It was not told in the turn: it is the orchestration's again."""
    await _note(msgspec.structs.replace(delivery, reason=""), "accepted", services=services)


async def note_told(delivery: DeliveryRecord, activity_id: str | None, *, services: Services) -> None:
    """It was told in the turn. Where this cannot be noted, it may be told again, for nobody can know."""
    await _note(msgspec.structs.replace(delivery, activity_id=activity_id), "sent", services=services)


async def _note(delivery: DeliveryRecord, state: DeliveryState, *, services: Services) -> None:
    noted = msgspec.structs.replace(delivery, state=state, updated_at=services.clock.now())
    try:
        async with asyncio.timeout(NOTING_LASTS_SECONDS):
            await services.ledger.replace(noted)
    except Exception as error:  # noqa: BLE001 - whatever storage raises; it must not change the turn's end
        log.warning("Delivery %s is not noted as %s: %s", noted.delivery_id, state, type(error).__name__)
