"""A job that broke is run again from its row in the ledger, once."""

from typing import Literal, Protocol

import msgspec

from agent.delivery_record import DeliveryRecord
from agent.incoming import derived_key
from agent.job_taking import JobStarter
from agent.jobs.definition import JOB_VERSION, Job
from agent.jobs.entries import entry_of
from agent.ports import Services


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
        job,
        version=JOB_VERSION,
        job_id=_again_id(job_id, record.attempts),
        requested_at=now,
        shown_as="messages",  # no turn has opened anything for it
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
