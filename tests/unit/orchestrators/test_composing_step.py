"""The step that composes an answer: what crosses the task hub, there and back."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.composing import ComposedOutcome, Composition, compose
from agent.jobs import catalog
from agent.jobs.definition import JOB_VERSION, Done, Job
from agent.task_hub import from_task_hub, to_task_hub
from agent.view import View
from orchestrators import steps
from orchestrators.follow_up import follow_up
from tests.unit.agent.streaming_channel import CHAT, Told
from tests.unit.orchestrators.stepped_orchestration import SteppedOrchestration


async def test_the_answer_is_composed_in_one_try_of_one_activity_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalog, "JOBS", (Told((0, "It is so.")),))
    services = InMemoryServices()
    await services.conversations.heard(CHAT, at=services.clock.now())
    now = services.clock.now()
    job = Job(job_id="job-1", kind="told", requested_at=now, requested_by=CHAT, version=JOB_VERSION)
    view = View(
        kind="stream", opened_at=now, shown_at=now, activity_id="s-1", sequence=1, shown="Let me see."
    )
    context: Any = SteppedOrchestration(follow_up, None, activities={}, clock=services.clock)

    step = steps.compose(context, job, view, 2)
    task: Any = next(step)
    assert task.of == ("compose_answer", None)
    composition = from_task_hub(msgspec.json.decode(msgspec.json.encode(task.given)), Composition)
    assert composition == Composition(job=job, number=2, view=view)
    with pytest.raises(StopIteration) as ended:
        step.send(to_task_hub(await compose(composition, services=services)))

    composed: ComposedOutcome = ended.value.value
    assert isinstance(composed.outcome, Done)
    assert (composed.outcome.tell.text, composed.is_told) == ("It is so.", True)
    record = await services.ledger.read("job-1.2")
    assert record is not None and record.state == "sent"
    assert services.clock.now() - now < timedelta(seconds=5)
    assert context.statuses[-1] == {"step": "composing", "number": 2}
