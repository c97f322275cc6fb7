"""A job that is shown while it runs, its activity functions lasting as long as they are told; stepped, or on
the real SDK with a restart after every step."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from activities import compose_answer, run_job, send_follow_up, show_job
from adapters.in_memory import Call, InMemoryServices
from agent.answer import Answer
from agent.job_entry import JobEntry, Progress, owner_key
from agent.jobs import catalog
from agent.jobs.definition import JOB_VERSION, Done, Job, Outcome, Waiting
from agent.ports import Services
from agent.task_hub import to_task_hub
from agent.view import View, ViewKind
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import parse_utc
from devhost.durable.records import ActivityWork
from orchestrators import follow_up, following
from orchestrators.following import Following
from tests.devhost.simulation import START, Simulation, durable_functions
from tests.unit.orchestrators.stepped_orchestration import SteppedOrchestration, activities_of
from tests.unit.orchestrators.strict_channel import ActingClock, StrictConnector
from tests.unit.orchestrators.test_follow_up import CHAT, Scripted

ACTIVITIES: tuple[ModuleType, ...] = (compose_answer, run_job, send_follow_up, show_job)
ACKNOWLEDGED = "Let me see."
WAYS = ("stepped", "on the SDK")
DONE = Done(tell=Answer("It is done."))
BEGUN, CHECKED, UNDONE = "begin_job", "check_job", "cancel_job"


class ScreenRun:
    """One job from its acknowledgement to its end; how its orchestration is run is told by the subclass.

    ``lasting``: of activity functions, by name. ``output``: what the orchestration returned, or "broke".
    """

    executions = 1

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ActingClock()
        self.services = InMemoryServices(clock=self.clock)
        self.connector = self.services.connector = StrictConnector(self.clock)
        self.lasting: dict[str, timedelta] = {}
        self.events: list[tuple[datetime, str]] = []
        self.output: Any = None
        self._monkeypatch = monkeypatch
        for module in ACTIVITIES:
            monkeypatch.setattr(module, "services", lambda: self.services)

    def at(self, seconds: float, act: Callable[[], Any]) -> None:
        self.clock.acts.append((START + timedelta(seconds=seconds), act))

    def raise_at(self, seconds: float, event: str) -> None:
        self.events.append((START + timedelta(seconds=seconds), event))

    def stopped_at(self, seconds: float) -> None:
        """The user presses Stop."""
        self.at(seconds, lambda: self.connector.streams.cancel(CHAT.conversation_id))

    async def follow(
        self, definition: Any, *, shown_as: ViewKind = "stream", acknowledged_after: float = 0
    ) -> None:
        """Follow the job from its turn, which opens what it is ``shown_as``, to its end."""
        self._monkeypatch.setattr(catalog, "JOBS", (definition,))
        await self.services.conversations.heard(CHAT, at=START)
        claim = await self.services.turn_claims.insert("i", at=START)
        assert claim is not None
        opened = await self._opened(shown_as)
        told = msgspec.structs.replace(claim, state="acknowledged", sent_ids=("s-1",), view=opened)
        acknowledge = self.services.turn_claims.write(told)
        if acknowledged_after:
            self.at(acknowledged_after, lambda: at_once(acknowledge))
        else:
            await acknowledge
        job = Job(
            version=JOB_VERSION,
            job_id="i",
            kind=definition.kind,
            requested_at=START,
            requested_by=CHAT,
            shown_as=shown_as,
        )
        await self._run(to_task_hub(Following(job=catalog.with_terms(job))))

    async def _opened(self, kind: ViewKind) -> View | None:
        if kind == "messages":
            return None
        if kind == "stream":
            info = {"type": "streaminfo", "streamType": "informative", "streamSequence": 1}
            first = {"type": "typing", "text": ACKNOWLEDGED, "entities": [info]}
            await self.connector.send(first, at=CHAT.place)
        shown = ACKNOWLEDGED if kind == "stream" else ""
        return View(kind=kind, opened_at=START, shown_at=START, sequence=1, shown=shown)

    async def _run(self, given: Any) -> None:
        raise NotImplementedError

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.clock.now() - START).total_seconds()

    @property
    def updates(self) -> list[Call]:
        """Of a card."""
        return [call for call in self.connector.calls if call.method == "update"]

    async def entry(self) -> JobEntry:
        (found,) = await self.services.job_board.of_owner(owner_key(CHAT), at_most=5)
        return found


class SteppedRun(ScreenRun):
    async def _run(self, given: Any) -> None:
        orchestration = SteppedOrchestration(
            follow_up.follow_up,
            given,
            activities=activities_of(ACTIVITIES),
            clock=self.clock,
            events={name: moment for moment, name in self.events},
            durations=self.lasting,
        )
        try:
            self.output = await orchestration.run()
        except Exception as error:  # noqa: BLE001 - what broke a job arrives as this
            self.output = f"broke: {error}"
        self.executions = orchestration.executions


class SdkRun(ScreenRun):
    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        app = df.DFApp()
        for module in (follow_up, *ACTIVITIES):
            app.register_functions(module.blueprint)
        self.simulation = _Lasting(self, place / "hub.sqlite", durable_functions(app))

    async def _run(self, given: Any) -> None:
        self.simulation.start("follow_up", given)
        for moment, name in self.events:
            if moment == START:
                self._raise(name)
            else:
                self.clock.acts.append((moment, partial(self._raise, name)))
        await self.simulation.run()
        instance = self.simulation.instance()
        if instance.status.text == "Completed":
            self.output = msgspec.json.decode(instance.output or "")
        else:
            self.output = f"broke: {instance.output}"

    def _raise(self, event: str) -> None:
        if not self.simulation.instance().status.is_final:
            self.simulation.raise_event(event, None)


class _Lasting(Simulation):
    """A Simulation whose activity functions last, side by side with its timers."""

    def __init__(self, run: SdkRun, path: Path, functions: DurableFunctions) -> None:
        self._run, self._clock = run, run.clock
        self._ends_at: dict[int, datetime] = {}
        super().__init__(path, functions, restarts=True)

    @property
    def now(self) -> datetime:
        return self._clock.now()

    @now.setter
    def now(self, moment: datetime) -> None:
        self._clock.step(max(moment - self._clock.now(), timedelta(0)))

    async def _step(self) -> bool:
        if waiting := self.hub.waiting_instances():
            before = self.instance(waiting[0]).execution_id
            await self._run_instance(waiting[0])
            self._run.executions += self.instance(waiting[0]).execution_id != before
            return True
        due = {self._due(work): work for work in reversed(self.hub.pending_activities())}
        timer = self.hub.next_timer()
        moments = [*due, *([parse_utc(timer)] if timer else [])]
        if not moments:
            return False
        first = min(moments)
        act = self._clock.next_act
        self.now = min(first, act or first)
        if act is not None and act <= first:
            return True
        if first in due:
            await self._run_activity(due[first])
        else:
            self._fire()
        return True

    def _due(self, work: ActivityWork) -> datetime:
        lasts = self._run.lasting.get(work.name, timedelta(0))
        return self._ends_at.setdefault(work.activity_id, self.now + lasts)


def screen_run(way: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> ScreenRun:
    """A run in one of the WAYS."""
    return SteppedRun(monkeypatch) if way == "stepped" else SdkRun(place, monkeypatch)


def start_over_after(checks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have orchestrations start over after so many checks."""
    monkeypatch.setattr(following, "CHECKS_AN_EXECUTION", checks)


def waiting(seconds: float, **fields: Any) -> Waiting:
    return Waiting(state={}, check_in=timedelta(seconds=seconds), **fields)


def step(number: int) -> Progress:
    return Progress(step=f"Step {number}")


class Shown(Scripted):
    """A job that is streamed where that can be."""

    def __init__(self, *outcomes: Outcome, stop_cancels: bool = True) -> None:
        super().__init__(*outcomes)
        self.stop_cancels = stop_cancels


class Breaking(Shown):
    """It breaks at its first check of which no outcome is given."""

    tries = 1

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        if len(self._outcomes) > 1:
            return self._next()
        raise ValueError("it broke")


def at_once(coroutine: Any) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")
