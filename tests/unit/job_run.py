"""A job of the catalog in memory, from what its user says to its end; time goes by when it is told to."""

import asyncio
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from activities import ask_approval, compose_answer, run_job, send_follow_up, show_job
from adapters.in_memory import InMemoryServices, SteppedClock
from agent.approval import ApprovalEntry, Given, approval_id_of
from agent.jobs import catalog
from agent.jobs.catalog import job_of, with_terms
from agent.jobs.definition import Approved, Job
from agent.task_hub import to_task_hub
from orchestrators.approval import ANSWERED, approval
from orchestrators.follow_up import follow_up
from orchestrators.following import Following
from orchestrators.steps import CANCEL
from tests.unit.orchestrators.stepped_orchestration import SteppedOrchestration, Task, activities_of
from tests.unit.turns import Channel, incoming_activity

ACTIVITIES: tuple[ModuleType, ...] = (ask_approval, compose_answer, run_job, send_follow_up, show_job)
NEVER = datetime.max.replace(tzinfo=UTC)
is_in_job: ContextVar[bool] = ContextVar("is_in_job", default=False)


class HeldOrchestration(SteppedOrchestration):
    """Goes as far as it can without time going by, and is held there. ``next_at``: when it can go on."""

    def begin(self) -> None:
        self.output: Any = None
        self.next_at = NEVER
        self._held, self._may_go = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run_to_its_end())

    async def go(self) -> None:
        """Let it go on, until it is held again or has ended."""
        self._held.clear()
        self._may_go.set()
        await self._held.wait()

    async def hold(self, until: datetime) -> None:
        self.next_at = until
        self._may_go.clear()
        self._held.set()
        await self._may_go.wait()

    def raise_event(self, name: str) -> bool:
        """False where it has ended."""
        self._events[name] = self._clock.now()
        return not self._task.done()

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run_to_its_end(self) -> None:
        is_in_job.set(True)
        try:
            self.output = await self.run()
        except Exception as error:  # noqa: BLE001 - what broke a job arrives as this
            self.output = {"outcome": "broke", "error": str(error)}
        self.next_at = NEVER
        self._held.set()

    async def _end(self, task: Task) -> Any:
        while (due := self._first_due(task)) > self._clock.now():
            await self.hold(due)
        return await super()._end(task)

    def _first_due(self, task: Task) -> datetime:
        if task.kind in ("any", "timer"):
            return min(self._due(one) for one in (task.given if task.kind == "any" else [task]))
        return self._clock.now()


class _Clock(SteppedClock):
    """Moves for who sleeps; a job that sleeps while a turn is under way is held until that has ended."""

    orchestration: HeldOrchestration | None = None
    is_in_turn = False

    async def sleep(self, seconds: float) -> None:
        if self.orchestration and self.is_in_turn and is_in_job.get():
            await self.orchestration.hold(self.now())
        else:
            await super().sleep(seconds)


class JobRun(Channel):
    """A personal chat in Teams with the agent, and one job that is asked for in it.

    What ``ask``, ``step`` and ``answer`` return is what anybody was told by it, a card by its text for
    where no card is shown. ``outcome`` is how the job ended.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = _Clock()
        super().__init__(InMemoryServices(clock=self.clock))
        self._turns = 0
        for module in ACTIVITIES:
            monkeypatch.setattr(module, "services", lambda: self.services)
        self._monkeypatch = monkeypatch

    def only(self, definition: Any) -> None:
        """Have the catalog hold this kind of job alone."""
        self._monkeypatch.setattr(catalog, "JOBS", (definition,))

    async def ask(self, text: str) -> list[str]:
        """The user says it: what asks for the job, "status", "cancel"."""
        return await self._turn(text=text)

    async def press(self, data: dict[str, Any]) -> list[str]:
        """The user presses a button with this data."""
        return await self._turn(text="", value=data)

    async def answer(self, given: Given, comment: str = "") -> list[str]:
        """Whom the job's question was put to presses Approve or Reject."""
        question = await self.question()
        put_to = question.approval.put_to
        data = {"approval": {"id": question.approval_id, "answer": given}, "comment": comment}
        if put_to is None:
            return await self.press(data)
        chat = {"id": "a:approver", "conversationType": "personal", "tenantId": put_to.tenant_id}
        approver = {"id": "29:approver", "name": "Megan", "aadObjectId": put_to.aad_object_id}
        return await self._turn(text="", value=data, conversation=chat, **{"from": approver})

    async def step(self, by: timedelta) -> list[str]:
        """Let time go by."""
        before, until = self._told, self.clock.now() + by
        job = self.clock.orchestration
        while job and job.next_at <= until:
            self.clock.step(max(job.next_at - self.clock.now(), timedelta(0)))
            await job.go()
        self.clock.step(max(until - self.clock.now(), timedelta(0)))
        return self.services.connector.said[before:]

    async def question(self) -> ApprovalEntry:
        """What the job has asked, and what became of it."""
        entry = await self.services.approvals.find(approval_id_of(self.started[-1].job_id))
        assert entry is not None, "the job has asked nothing"
        return entry

    @property
    def outcome(self) -> str | None:
        """``done``, ``failed``, ``rejected``, ``cancelled`` or ``broke``; None while the job runs."""
        output = self.clock.orchestration and self.clock.orchestration.output
        return output["outcome"] if output else None

    async def end(self) -> None:
        """Drop a job that runs still."""
        if self.clock.orchestration:
            await self.clock.orchestration.end()

    @property
    def _told(self) -> int:
        return len(self.services.connector.said)

    async def _turn(self, **fields: Any) -> list[str]:
        before = self._told
        self._turns += 1
        self.clock.is_in_turn = True
        await self.deliver(incoming_activity(id=f"incoming-{self._turns}", **fields))
        self.clock.is_in_turn = False
        await self._go_on()
        return self.services.connector.said[before:]

    async def _go_on(self) -> None:
        if self.clock.orchestration and self.outcome is None:
            await self.clock.orchestration.go()

    async def _start_job(self, job: Job, *, may_exist: bool) -> None:
        self.started.append(job)
        orchestration = HeldOrchestration(
            approval if isinstance(job_of(job), Approved) else follow_up,
            to_task_hub(Following(job=with_terms(job))),
            activities=activities_of(ACTIVITIES),
            clock=self.clock,
        )
        assert not self.clock.orchestration or self.outcome, "one job at a time"
        self.clock.orchestration = orchestration
        orchestration.begin()
        await orchestration.go()

    async def _cancel_job(self, job_id: str) -> bool:
        return bool(self.clock.orchestration and self.clock.orchestration.raise_event(CANCEL))

    async def _wake_job(self, job_id: str) -> bool:
        return bool(self.clock.orchestration and self.clock.orchestration.raise_event(ANSWERED))
