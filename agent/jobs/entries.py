"""What the board says of a job: made from the job and what became of its last step."""

from datetime import datetime

from agent.job_entry import JobEntry, JobState, owner_key
from agent.jobs.catalog import title_of
from agent.jobs.definition import Cancelled, Composing, Done, Failed, Job, Outcome, Rejected, Waiting

STATES: dict[type, JobState] = {
    Waiting: "running",
    Composing: "running",
    Done: "done",
    Failed: "failed",
    Cancelled: "cancelled",
    Rejected: "rejected",
}


def entry_of(job: Job, outcome: Outcome | Cancelled | Rejected | None, *, at: datetime) -> JobEntry:
    """The job's entry after this outcome; None: it was taken on, and has not begun."""
    goes_on = outcome if isinstance(outcome, Waiting | Composing) else None
    progress = goes_on.progress if goes_on else None
    return JobEntry(
        job_id=job.job_id,
        kind=job.kind,
        title=title_of(job),
        owner_key=owner_key(job.requested_by),
        state=STATES[type(outcome)] if outcome else "running",
        step=progress.step if progress else "",
        percent=progress.percent if progress else None,
        requested_at=job.requested_at,
        updated_at=at,
        channel_id=job.requested_by.channel_id,
        conversation_id=job.requested_by.conversation_id,
        has_begun=outcome is not None and not isinstance(outcome, Composing),
        answer=outcome.tell if outcome and not goes_on else None,
        request=job.request,
    )
