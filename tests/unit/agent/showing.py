"""How tests have a job shown: by runs of the activity function, as the task hub calls it."""

from datetime import timedelta
from typing import Any

from adapters.in_memory import Call, InMemoryServices
from agent.job_entry import Progress
from agent.job_view import Showed, Showing, show
from agent.jobs.definition import JOB_VERSION, Job
from agent.ports import ChannelBusy
from agent.task_hub import from_task_hub, to_task_hub
from agent.view import View, ViewKind
from tests.unit.agent.streaming_channel import CHAT

HALF, MORE = Progress(step="Packing", percent=50), Progress(step="Sending", percent=80)
BUSY = ChannelBusy("429", retry_after=timedelta(seconds=9))
MINUTE = timedelta(minutes=1)


def a_job(services: InMemoryServices, *, kind: str = "order_laptop") -> Job:
    now = services.clock.now()
    return Job(job_id="job-1", kind=kind, requested_at=now, requested_by=CHAT, version=JOB_VERSION)


def a_view(services: InMemoryServices, kind: ViewKind, **fields: Any) -> View:
    """As a turn has just opened it."""
    now = services.clock.now()
    where = {} if kind == "messages" else {"activity_id": "sent-0", "sequence": 1}
    return View(kind=kind, opened_at=now, shown_at=now, **where, **fields)  # type: ignore[arg-type]


async def shown(
    services: InMemoryServices, view: View | None, progress: Progress | None = None, **fields: Any
) -> View | None:
    """One run of the activity function, as the task hub calls it."""
    job = fields.pop("job", None) or a_job(services)
    showing = to_task_hub(Showing(job=job, view=view, progress=progress, **fields))
    moved = await show(from_task_hub(showing, Showing), services=services)
    showed: Showed = from_task_hub(to_task_hub(Showed(view=moved)), Showed)
    return showed.view


async def moved(services: InMemoryServices, view: View | None, *given: Any, **fields: Any) -> View:
    """As ``shown``, where there is a view."""
    moved = await shown(services, view, *given, **fields)
    assert moved is not None
    return moved


def card_of(call: Call) -> dict[str, Any]:
    (attachment,) = (call.body or {})["attachments"]
    card: dict[str, Any] = attachment["content"]
    return card
