"""The follow-up on the real SDK: replayed from its history, with a restart after every step."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import azure.durable_functions as df
import pytest

from activities import run_job, send_follow_up
from adapters.in_memory import InMemoryServices, SteppedClock
from agent.conversation import Conversation
from agent.jobs.definition import Job
from agent.task_hub import to_task_hub
from orchestrators import follow_up
from orchestrators.follow_up import Following
from tests.devhost.simulation import START, Simulation, durable_functions

# The SDK warns of itself: its converter decodes an activity function's input without a type, and an event
# that comes before it is waited for looks to it like a task that ends twice.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion:UserWarning"),
]

CHAT = Conversation(channel_id="msteams", conversation_id="a:chat", service_url="https://smba.example/")
TOLD_ALL = ["Great! I have successfully placed your order #1292. I'll notify you when it's delivered.", ""]


class SimulatedClock(SteppedClock):
    """The time of a simulation."""

    simulation: Simulation

    def now(self) -> datetime:
        return self.simulation.now


class FollowUpRun:
    """The app's orchestrator and activities on a task hub, its ports in memory."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = SimulatedClock()
        self.services = InMemoryServices(clock=clock)
        for module in (run_job, send_follow_up):
            monkeypatch.setattr(module, "services", lambda: self.services)
        app = df.DFApp()
        for module in (follow_up, run_job, send_follow_up):
            app.register_functions(module.blueprint)
        self.simulation = clock.simulation = Simulation(
            place / "hub.sqlite", durable_functions(app), restarts=True
        )

    async def follow(self, between: Callable[[], None] = lambda: None) -> None:
        """Follow one job to its end; ``between`` is called before each step."""
        await self.services.conversations.heard(CHAT, at=START)
        job = Job(job_id="i", kind="order_laptop", requested_at=START, requested_by=CHAT)
        self.simulation.start("follow_up", to_task_hub(Following(job=job)))
        await self.simulation.run(between=between)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FollowUpRun:
    return FollowUpRun(tmp_path, monkeypatch)


async def test_a_job_is_followed_to_its_end_though_the_host_restarts_after_every_step(
    run: FollowUpRun,
) -> None:
    await run.follow()
    instance = run.simulation.instance()
    assert (instance.status.text, instance.output) == ("Completed", '{"outcome":"done","told":2}')
    assert run.services.connector.texts == TOLD_ALL
    assert timedelta(seconds=30) <= run.simulation.now - START < timedelta(seconds=31)


@pytest.mark.parametrize("step", range(1, 16))
async def test_an_event_at_any_moment_wakes_the_job_and_breaks_nothing(run: FollowUpRun, step: int) -> None:
    taken = 0

    def between() -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            run.simulation.raise_event("completed", None)

    await run.follow(between)
    assert taken >= step, "the job ended before the event"
    assert run.simulation.instance().status.text == "Completed", run.simulation.instance().output
    assert run.services.connector.texts == TOLD_ALL


async def test_events_that_come_twice_break_nothing(run: FollowUpRun) -> None:
    taken = 0

    def between() -> None:
        nonlocal taken
        taken += 1
        if taken in (2, 3, 7):
            run.simulation.raise_event("completed", None)

    await run.follow(between)
    assert run.simulation.instance().status.text == "Completed", run.simulation.instance().output
    assert run.services.connector.texts == TOLD_ALL


async def test_a_job_that_breaks_ends_as_failed_after_its_retries_and_its_user_is_told(
    run: FollowUpRun,
) -> None:
    async def broken(order_id: str, *, item: str, customer: Conversation) -> None:
        raise ConnectionError("the order service is down")

    run.services.orders.place = broken  # type: ignore[assignment,method-assign]
    await run.follow()
    instance = run.simulation.instance()
    assert instance.status.text == "Failed"
    assert "the order service is down" in (instance.output or "")
    assert len(run.services.connector.texts) == 1
    assert "could not be ordered" in run.services.connector.texts[0]
    assert run.simulation.now - START >= timedelta(seconds=40)
