"""The approval on the real SDK: replayed from its history, with a restart after every step."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from activities import ask_approval, run_job, send_follow_up, show_job
from adapters.in_memory import Call, InMemoryServices
from agent.approval import Given, approval_id_of
from agent.job_entry import owner_key
from agent.jobs import catalog
from agent.jobs.definition import Job
from agent.jobs.request_licence import RequestLicence
from agent.task_hub import to_task_hub
from orchestrators import approval
from orchestrators.following import CHECKS_AN_EXECUTION, Following
from tests.devhost.simulation import START, Simulation, durable_functions
from tests.unit.orchestrators.test_follow_up import said
from tests.unit.orchestrators.test_on_the_sdk import CHAT, SimulatedClock, at_steps
from tests.unit.orchestrators.test_stopping import Slow

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion:UserWarning"),
]

ACTIVITIES = (ask_approval, run_job, send_follow_up, show_job)
GIVEN_OUT = "Here is your licence for Sketch, approved by Megan: no. I."
REJECTED = "I am sorry, you may not have a licence for Sketch."
WITHDRAWN = "I have cancelled: Request a software licence: Sketch. Nobody is asked for an answer any more."
CANCELLED = "I have cancelled the licence for Sketch."
# In so many steps a licence is asked for, approved, given out and told; the answer comes before the third.
MOMENTS = range(1, 16)


class ApprovalRun:
    """The app's orchestrator and activities on a task hub, its ports in memory."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = SimulatedClock()
        self.services = InMemoryServices(clock=clock)
        app = df.DFApp()
        for module in (approval, *ACTIVITIES):
            app.register_functions(module.blueprint)
        for module in ACTIVITIES:
            monkeypatch.setattr(module, "services", lambda: self.services)
        self.simulation = clock.simulation = Simulation(
            place / "hub.sqlite", durable_functions(app), restarts=True
        )

    async def follow(self, between: Callable[[], None] = lambda: None) -> None:
        await self.services.conversations.heard(CHAT, at=START)
        job = Job(
            version=2,
            job_id="i",
            kind="request_licence",
            requested_at=START,
            requested_by=CHAT,
            request="I need a licence for Sketch.",
        )
        self.simulation.start("approval", to_task_hub(Following(job=job)))
        await self.simulation.run(between=between)

    def press(self, answer: Given, *, wakes: bool = True) -> None:
        """Megan answers, as soon as she is asked; nothing happens before."""
        approvals = self.services.approvals
        entry = at_once(approvals.find(approval_id_of("i")))
        if entry and entry.is_open:
            at_once(approvals.answer(msgspec.structs.replace(entry, state=answer, answered_by="Megan")))
        if entry and wakes:
            self.simulation.raise_event("answered", None)

    @property
    def output(self) -> dict[str, Any]:
        instance = self.simulation.instance()
        assert instance.status.text == "Completed", instance.output
        output: dict[str, Any] = msgspec.json.decode(instance.output or "")
        return output

    @property
    def texts(self) -> list[str]:
        return [text for text in self.services.connector.texts if text]

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.services.connector.calls if call.method == method]

    async def assert_ended(self, *outcomes: str) -> str:
        """Ended as one of these: everywhere the same, asked once and told once; which."""
        outcome: str = self.output["outcome"]
        assert outcome in outcomes
        told = {"done": [GIVEN_OUT], "rejected": [REJECTED]}.get(outcome)
        assert self.texts == told if told else self.texts in ([WITHDRAWN], [CANCELLED])
        (entry,) = await self.services.job_board.of_owner(owner_key(CHAT), at_most=5)
        assert entry.state == outcome
        (asked,) = [call for call in self.calls("send") if "attachments" in (call.body or {})]
        (shown,) = self.calls("update")
        assert shown.activity_id is not None
        assert asked.conversation_id == shown.conversation_id
        return outcome


def at_once(coroutine: Any) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApprovalRun:
    return ApprovalRun(tmp_path, monkeypatch)


def once_asked(run: ApprovalRun, act: Callable[[], None], *, after: int = 0) -> Callable[[], None]:
    """Acts once, before the step that comes ``after`` so many steps since the card was sent."""
    since = -1

    def between() -> None:
        nonlocal since
        if since >= 0 or run.services.connector.calls:
            since += 1
            if since == after:
                act()

    return between


@pytest.mark.parametrize(("answer", "outcome"), [("approved", "done"), ("rejected", "rejected")])
@pytest.mark.parametrize("after", [0, 1])  # before the job waits for it, and while it does
async def test_an_answer_is_heeded_though_the_host_restarts_after_every_step(
    run: ApprovalRun, answer: Given, outcome: str, after: int
) -> None:
    await run.follow(once_asked(run, lambda: run.press(answer), after=after))
    assert await run.assert_ended(outcome) == outcome
    assert run.simulation.now - START < timedelta(minutes=1)


async def test_nobody_answers_and_the_job_is_given_up_after_a_reminder(run: ApprovalRun) -> None:
    await run.follow()
    assert run.output == {"outcome": "failed", "told": 1}
    assert timedelta(days=7) <= run.simulation.now - START < timedelta(days=7, minutes=1)
    (reminder,) = run.texts
    assert reminder.startswith("A reminder")


async def test_an_answer_whose_event_got_lost_is_found_when_the_reminder_is_due(run: ApprovalRun) -> None:
    await run.follow(once_asked(run, lambda: run.press("approved", wakes=False), after=1))
    await run.assert_ended("done")
    assert timedelta(days=1) <= run.simulation.now - START < timedelta(days=1, minutes=1)


@pytest.mark.parametrize("step", MOMENTS)
async def test_a_cancel_at_any_moment_ends_the_job_or_comes_too_late(run: ApprovalRun, step: int) -> None:
    answers = once_asked(run, lambda: run.press("approved"), after=1)
    cancels = at_steps({step}, lambda: run.simulation.raise_event("cancel", None))

    def between() -> None:
        answers()
        cancels()

    await run.follow(between)
    outcome = await run.assert_ended("cancelled", "done")
    if step <= 10:
        assert outcome == "cancelled"


@pytest.mark.parametrize("step", MOMENTS)
async def test_an_event_without_an_answer_at_any_moment_breaks_nothing(run: ApprovalRun, step: int) -> None:
    answers = once_asked(run, lambda: run.press("approved"), after=1)
    wakes = at_steps({step, step + 1}, lambda: run.simulation.raise_event("answered", None))

    def between() -> None:
        answers()
        wakes()

    await run.follow(between)
    await run.assert_ended("done")


async def test_a_button_that_is_pressed_again_and_again_is_one_answer(run: ApprovalRun) -> None:
    await run.follow(at_steps(set(MOMENTS), lambda: run.press("approved")))
    await run.assert_ended("done")


@pytest.mark.parametrize("step", [1, 3])
async def test_an_event_that_tells_of_no_answer_does_not_keep_the_job_busy(
    run: ApprovalRun, step: int
) -> None:
    taken = at_steps({100}, lambda: pytest.fail("it never waits"))
    wakes = at_steps({step}, lambda: run.simulation.raise_event("answered", None))

    def between() -> None:
        wakes()
        taken()

    await run.follow(between)
    assert run.output["outcome"] == "failed"


async def test_an_approved_job_that_starts_over_is_not_asked_for_again(
    run: ApprovalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = 0
    check = RequestLicence.check

    async def often(self: RequestLicence, job: Job, state: dict[str, Any], *, services: Any) -> Any:
        nonlocal checks
        checks += 1
        if checks <= CHECKS_AN_EXECUTION:
            return await self.begin(job, services=services)
        return await check(self, job, state, services=services)

    monkeypatch.setattr(RequestLicence, "check", often)
    await run.follow(once_asked(run, lambda: run.press("approved")))
    await run.assert_ended("done")
    assert checks == CHECKS_AN_EXECUTION + 1


class AskedNoMore(Slow):
    kind = "request_licence"


@pytest.mark.parametrize("step", [1, 3, 4, 6, 8, 10, 11])
@pytest.mark.parametrize("kinds", [[], [AskedNoMore()]], ids=["taken out", "asks no more"])
async def test_a_deployment_that_takes_the_question_away_lets_each_job_come_to_its_end(
    run: ApprovalRun, monkeypatch: pytest.MonkeyPatch, kinds: list[Any], step: int
) -> None:
    answers = once_asked(run, lambda: run.press("approved"), after=1)
    deploys = at_steps({step}, lambda: monkeypatch.setattr(catalog, "JOBS", kinds))

    def between() -> None:
        answers()
        deploys()

    await run.follow(between)
    assert run.output["outcome"] in ("done", "failed")
    # Where it was asked, the question's card was changed once.
    assert run.output["told"] == len(said(run.services)) - len(run.calls("update"))
    (entry,) = await run.services.job_board.of_owner(owner_key(CHAT), at_most=5)
    assert entry.state == run.output["outcome"]
