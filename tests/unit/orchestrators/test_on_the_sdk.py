"""The follow-up on the real SDK: replayed from its history, with a restart after every step."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from activities import run_job, send_follow_up, show_job
from adapters.in_memory import InMemoryServices, SteppedClock
from agent.conversation import Conversation
from agent.job_entry import JobState, owner_key
from agent.jobs.definition import Job
from agent.order import Order
from agent.task_hub import to_task_hub
from devhost.durable.episode import DurableFunctions
from orchestrators import follow_up
from orchestrators.following import Following
from tests.devhost.simulation import START, Simulation, durable_functions
from tests.unit.orchestrators import before_cancelling
from tests.unit.orchestrators.test_follow_up import said

# The SDK warns of itself: its converter decodes an activity function's input without a type, and an event
# that comes before it is waited for looks to it like a task that ends twice.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion:UserWarning"),
]

CHAT = Conversation(channel_id="msteams", conversation_id="a:chat", service_url="https://smba.example/")
CANCELLED = "I have cancelled your order #1292 (laptop)."
TOLD_ALL = ["Great! I have successfully placed your order #1292. I'll notify you when it's delivered.", ""]


class SimulatedClock(SteppedClock):
    """The time of a simulation."""

    simulation: Simulation

    def now(self) -> datetime:
        return self.simulation.now


def functions_with(orchestrator: ModuleType) -> DurableFunctions:
    app = df.DFApp()
    for module in (orchestrator, run_job, send_follow_up, show_job):
        app.register_functions(module.blueprint)
    return durable_functions(app)


class FollowUpRun:
    """The app's orchestrator and activities on a task hub, its ports in memory."""

    def __init__(
        self, place: Path, monkeypatch: pytest.MonkeyPatch, orchestrator: ModuleType = follow_up
    ) -> None:
        clock = SimulatedClock()
        self.services = InMemoryServices(clock=clock)
        for module in (run_job, send_follow_up, show_job):
            monkeypatch.setattr(module, "services", lambda: self.services)
        self.simulation = clock.simulation = Simulation(
            place / "hub.sqlite", functions_with(orchestrator), restarts=True
        )

    async def follow(self, between: Callable[[], None] = lambda: None) -> None:
        """Follow one job to its end; ``between`` is called before each step."""
        await self.services.conversations.heard(CHAT, at=START)
        job = Job(job_id="i", kind="order_laptop", requested_at=START, requested_by=CHAT)
        self.simulation.start("follow_up", to_task_hub(Following(job=job)))
        await self.simulation.run(between=between)

    def cannot_cancel_at_first(self) -> None:
        """The order service fails at the first cancelling of a slow order, all five tries of it."""
        cancel, failures = self.services.orders.cancel, [ConnectionError("the order service is down")] * 5

        async def broken_at_first(order_id: str) -> Order:
            if failures:
                raise failures.pop()
            return await cancel(order_id)

        self.services.orders.cancel = broken_at_first  # type: ignore[method-assign]
        self.services.orders._deliver_after = timedelta(hours=1)

    async def board_says(self) -> JobState:
        (entry,) = await self.services.job_board.of_owner(owner_key(CHAT), at_most=5)
        return entry.state

    async def assert_ended_well(self) -> str:
        """Done and told all, or cancelled and told so as the last thing: everywhere the same; which."""
        instance = self.simulation.instance()
        assert instance.status.text == "Completed", instance.output
        texts = self.services.connector.texts
        order = await self.services.orders.get("i")
        outcome: str = msgspec.json.decode(instance.output or "")["outcome"]
        assert await self.board_says() == outcome
        if outcome == "done":
            assert (texts, order.status) == (TOLD_ALL, "delivered")
        else:
            assert (outcome, order.status) == ("cancelled", "cancelled")
            assert texts in ([CANCELLED], [TOLD_ALL[0], CANCELLED])
        return outcome


def at_steps(steps: set[int], act: Callable[[], Any]) -> Callable[[], None]:
    """Called between the steps of a simulation, this acts before those steps, counted from 1."""
    taken = 0

    def between() -> None:
        nonlocal taken
        taken += 1
        if taken in steps:
            act()

    return between


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
    assert [("could not be ordered" in text) for text in said(run.services)] == [True]
    assert run.simulation.now - START >= timedelta(seconds=40)


# In fifteen steps an order is told and delivered; then its orchestration has ended.
MOMENTS = range(1, 17)


@pytest.mark.parametrize("step", MOMENTS)
async def test_a_cancel_at_any_moment_ends_the_job_or_comes_too_late(run: FollowUpRun, step: int) -> None:
    await run.follow(at_steps({step}, lambda: run.simulation.raise_event("cancel", None)))
    outcome = await run.assert_ended_well()
    if step <= 10:
        assert outcome == "cancelled"


@pytest.mark.parametrize("step", MOMENTS)
async def test_a_cancel_that_comes_twice_ends_the_job_once(run: FollowUpRun, step: int) -> None:
    await run.follow(at_steps({step, step + 1, step + 3}, lambda: run.simulation.raise_event("cancel", None)))
    await run.assert_ended_well()


@pytest.mark.parametrize("step", MOMENTS)
@pytest.mark.parametrize("names", [("cancel", "completed"), ("completed", "cancel")])
async def test_a_cancel_together_with_completed_does_no_harm(
    run: FollowUpRun, step: int, names: tuple[str, str]
) -> None:
    def both() -> None:
        for name in names:
            run.simulation.raise_event(name, None)

    await run.follow(at_steps({step}, both))
    await run.assert_ended_well()


@pytest.mark.parametrize("step", [1, 4])
async def test_a_job_that_cannot_be_cancelled_goes_on_until_it_is_cancelled_again(
    run: FollowUpRun, step: int
) -> None:
    """The SDK keeps an event that came early, and would give it to each later wait."""
    run.cannot_cancel_at_first()
    await run.follow(at_steps({step}, lambda: run.simulation.raise_event("cancel", None)))
    sorry, *others = run.services.connector.texts
    assert "could not cancel" in sorry
    assert others == TOLD_ALL
    assert await run.board_says() == "done"


async def test_a_job_that_could_not_be_cancelled_is_cancelled_by_the_next_try(run: FollowUpRun) -> None:
    run.cannot_cancel_at_first()
    pressed: list[int] = []

    def press() -> None:
        told = len(run.services.connector.texts)
        if told in (0, 2) and told not in pressed:
            pressed.append(told)
            run.simulation.raise_event("cancel", None)

    await run.follow(press)
    sorry, *others = run.services.connector.texts
    assert "could not cancel" in sorry
    assert others == [TOLD_ALL[0], CANCELLED]
    assert await run.board_says() == "cancelled"


@pytest.mark.parametrize("deployed_after", MOMENTS)
@pytest.mark.parametrize("event", ["cancel", "completed", None])
async def test_a_job_that_was_begun_before_jobs_could_be_cancelled_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployed_after: int, event: str | None
) -> None:
    run = FollowUpRun(tmp_path, monkeypatch, before_cancelling)

    def deploy() -> None:
        run.simulation._functions = functions_with(follow_up)
        if event:
            run.simulation.raise_event(event, None)

    await run.follow(at_steps({deployed_after}, deploy))
    outcome = await run.assert_ended_well()
    if event != "cancel":
        assert outcome == "done"


async def test_a_job_that_breaks_is_failed_on_the_board_when_its_host_restarts_too(run: FollowUpRun) -> None:
    async def broken(order_id: str) -> None:
        raise ConnectionError("the order service is down")

    run.services.orders.get = broken  # type: ignore[assignment,method-assign]
    await run.follow()
    assert run.simulation.instance().status.text == "Failed"
    assert await run.board_says() == "failed"
