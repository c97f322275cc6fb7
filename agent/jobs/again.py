"""A job that failed, once more: its user's button, and its row in the ledger to run it again from."""

from typing import Annotated, Literal, Protocol

import msgspec

from agent.answer import Answer, card
from agent.delivery_record import DeliveryRecord
from agent.incoming import derived_key
from agent.jobs.definition import JOB_VERSION, Job
from agent.jobs.entries import entry_of
from agent.ports import Clock, DeliveryLedger, Services

LARGEST_BODY = 60 * 1024  # bytes; a column of a table holds 64 KiB


class PressedAgain(msgspec.Struct, frozen=True):
    """The data of a button that asks for a job once more: ``{"again": "<job id>"}``."""

    again: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z._-]{1,64}$")]


class JobStarter(Protocol):
    """Starts the durable orchestration of a job."""

    async def __call__(self, job: Job, *, may_exist: bool) -> None:
        """Store the job durably. ``may_exist``: it may be stored already; do not do it again."""


class IsRunning(Protocol):
    """Asks the durable orchestration of a job."""

    async def __call__(self, job_id: str) -> bool:
        """Whether it has not ended yet; False where there is none."""


class RunAgain(msgspec.Struct, frozen=True, kw_only=True):
    """What came of running a failed job again; ``job_id``: of the job that it was run again as.

    ``unknown``: no such job has failed; ``running``: it has not ended; ``already``: it was run again before.
    """

    outcome: Literal["started", "unknown", "running", "already"]
    job_id: str = ""


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


async def run_again(
    job_id: str, *, start_job: JobStarter, is_running: IsRunning, services: Services
) -> RunAgain:
    """Start a job that is in the ledger anew, once however often this is called."""
    record = await services.ledger.read(job_id)
    job = _job_in(record)
    if record is None or job is None:
        return RunAgain(outcome="unknown")
    if record.attempts > 1:
        return RunAgain(outcome="already", job_id=_again_id(job_id, record.attempts - 1))
    if await is_running(job_id):
        return RunAgain(outcome="running", job_id=job_id)
    now = services.clock.now()
    anew = msgspec.structs.replace(
        job, version=JOB_VERSION, job_id=_again_id(job_id, record.attempts), requested_at=now
    )
    # The row is written last: who dies before is asked again, and starts no second one of the same id.
    await start_job(anew, may_exist=True)
    await services.job_board.insert(entry_of(anew, None, at=now))
    told = msgspec.structs.replace(
        record,
        attempts=record.attempts + 1,
        updated_at=now,
        reason=f"{record.reason}; run again as {anew.job_id}",
    )
    await services.ledger.replace(told)  # None where another request, at the same time, has told the same
    return RunAgain(outcome="started", job_id=anew.job_id)


def _job_in(record: DeliveryRecord | None) -> Job | None:
    """The job that a row of the ledger keeps; None where it keeps a message, or nothing."""
    if record is None or record.state != "failed":
        return None
    try:
        job = msgspec.json.decode(record.body, type=Job)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return job if job.job_id == record.delivery_id else None


def _again_id(job_id: str, times: int) -> str:
    """The id of a job that is run for the ``times``-th time after its first."""
    return derived_key(job_id, "again", str(times))
