"""What makes it possible that a job that failed is run again: its user's button, its row in the ledger."""

from typing import Annotated

import msgspec

from agent.answer import Answer, card
from agent.delivery_record import DeliveryRecord
from agent.jobs.definition import Job
from agent.ports import Clock, DeliveryLedger

LARGEST_BODY = 60 * 1024  # bytes; a column of a table holds 64 KiB


class PressedAgain(msgspec.Struct, frozen=True):
    """The data of a button that asks for a job once more: ``{"again": "<job id>"}``."""

    again: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z._-]{1,64}$")]


def with_try_again(answer: Answer, job_id: str) -> Answer:
    """The answer with a button that asks for the job once more; a text becomes a card."""
    button = {"type": "Action.Submit", "title": "Try again", "data": {"again": job_id}}
    if answer.card is None:
        filled = card("try_again", text=answer.text, actions=[button])
        return msgspec.structs.replace(answer, text="", card=filled)
    actions = [*answer.card.get("actions", []), button]
    return msgspec.structs.replace(answer, card={**answer.card, "actions": actions})


async def note_poisoned(job: Job, reason: str, *, ledger: DeliveryLedger, clock: Clock) -> None:
    """Keep the job in the ledger, under its own id, with why it broke; the first reason stays."""
    body = msgspec.json.encode(job)
    if len(body) > LARGEST_BODY:
        body, reason = b"", f"{reason}; its request is too large to be kept"
    record = DeliveryRecord(
        delivery_id=job.job_id,
        state="failed",
        updated_at=clock.now(),
        attempts=1,
        reason=reason,
        body=body,
    )
    await ledger.insert(record)
