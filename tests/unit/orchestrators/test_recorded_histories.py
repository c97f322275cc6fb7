"""Orchestrations that an older version of the app began: today's code goes on with each, from each step.

Their histories are real ones (histories/README.md). They are replayed on the real SDK.
"""

import asyncio
from collections.abc import Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.in_memory import InMemoryOrderService
from agent.job_report import JobReport
from agent.jobs import catalog
from agent.jobs.definition import Job, JobDefinition
from devhost.durable.episode import run_episode
from devhost.durable.history import Event, EventType, Status, parse_utc
from devhost.durable.records import EpisodeChange
from devhost.invocation.invoker import Invoker
from orchestrators import approval, steps
from tests.devhost.simulation import START
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.expected_ends import ends_of, is_told_well
from tests.unit.orchestrators.in_flight import InFlight, functions_of_today
from tests.unit.orchestrators.recorded_history import HISTORIES, RecordedHistory, given_to_activity
from tests.unit.orchestrators.recorded_jobs import RECORDED_JOBS
from tests.unit.orchestrators.test_on_the_sdk import FollowUpRun

pytestmark = test_on_the_sdk.pytestmark

FILES = sorted(HISTORIES.glob("*/*.json"))
NO_LONGER = "I am sorry, I can no longer do what you asked me for a while ago."
# Each step replays all before it, so of long histories some are tried. Above MOST_STEPS: the last ones only.
# Above FEW_STEPS the half is gone on with as it is, from the last step on, and the other half after an event.
FEW_STEPS, MOST_STEPS, LAST_STEPS, LAST_CUTS = 6, 24, 6, 2


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds of job with which the histories were recorded."""
    kinds: list[JobDefinition] = [*catalog.JOBS, *RECORDED_JOBS]
    monkeypatch.setattr(catalog, "JOBS", kinds)


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


async def replayed(recorded: RecordedHistory, place: Path) -> None:
    """Each of its steps, made once more by today's code, decides what was decided then."""
    steps_made = list(recorded.steps())
    for number in latest(range(len(steps_made)), LAST_STEPS):
        step = steps_made[number]
        change = await run_episode(
            recorded.episode(step),
            functions=functions_of_today(),
            invoker=Invoker(str(place), None),
            now=parse_utc(step.began_at),
        )
        assert_same(decisions_of(change), step.decisions, f"step {number + 1}")


def decisions_of(change: EpisodeChange) -> list[Event]:
    decided = {EventType.TASK_SCHEDULED, EventType.TIMER_CREATED, EventType.EXECUTION_COMPLETED}
    return [one for one in change.history if one["EventType"] in decided]


def assert_same(today: list[Event], then: list[Event], where: str) -> None:
    assert [summary(one) for one in today] == [summary(one) for one in then], where
    for one, other in zip(today, then, strict=True):
        if one["EventType"] == EventType.TASK_SCHEDULED:
            assert_holds(given_to_activity(one), given_to_activity(other), where)


def summary(decision: Event) -> tuple[Any, ...]:
    keys = ("EventType", "EventId", "Name", "FireAt", "OrchestrationStatus")
    result = decision.get("Result") if decision.get("OrchestrationStatus") == Status.COMPLETED else None
    return (*(decision.get(key) for key in keys), result)


def assert_holds(today: Any, then: Any, where: str) -> None:
    """What was handed over then is handed over today: there may be more, such as fields that came later."""
    if isinstance(then, dict):
        for key, value in then.items():
            assert key in today, f"{where}: {key} is missing"
            assert_holds(today[key], value, f"{where}, {key}")
    else:
        assert today == then, where


def cuts_of(recorded: RecordedHistory, event: str | None = None) -> Sequence[int]:
    """After how many steps it may be in flight, in their order."""
    count = len(list(recorded.steps())) - recorded.has_ended
    cuts = latest(range(1, count + 1), LAST_CUTS)
    if count <= FEW_STEPS:
        return cuts
    return cuts[(len(cuts) - 1 - bool(event)) % 2 :: 2]


def latest(numbers: range, at_most: int) -> range:
    return numbers[-at_most:] if len(numbers) > MOST_STEPS else numbers


@pytest.mark.parametrize("path", FILES, ids=name_of)
async def test_each_step_of_a_recorded_history_decides_what_it_decided_then(
    path: Path, tmp_path: Path
) -> None:
    await replayed(RecordedHistory.read(path), tmp_path)


@pytest.mark.parametrize("event", [None, "cancel"])
@pytest.mark.parametrize("path", FILES, ids=name_of)
async def test_a_recorded_history_is_gone_on_with_to_a_good_end_from_each_step(
    path: Path, event: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedHistory.read(path)
    for steps_made in cuts_of(recorded, event):
        in_flight = InFlight(recorded, steps_made, place=tmp_path, monkeypatch=monkeypatch)
        outcome = await in_flight.go_on(event)
        assert outcome in ends_of(in_flight, event), f"after step {steps_made}"
        assert is_told_well(in_flight, outcome), f"after step {steps_made}: {outcome}, {in_flight.told}"


ASKED = [path for path in FILES if RecordedHistory.read(path).orchestrator == "approval"]


@pytest.mark.parametrize("path", ASKED, ids=name_of)
async def test_an_answer_after_any_step_is_heeded_where_it_was_asked_for(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedHistory.read(path)
    for steps_made in cuts_of(recorded, "answered"):
        in_flight = InFlight(recorded, steps_made, place=tmp_path, monkeypatch=monkeypatch)
        outcome = await in_flight.go_on("answered")
        assert outcome in ends_of(in_flight, "answered"), f"after step {steps_made}"
        assert is_told_well(in_flight, outcome), f"after step {steps_made}: {outcome}, {in_flight.told}"


def kind_of(path: Path) -> str:
    kind: str = RecordedHistory.read(path).given["job"]["kind"]
    return kind


WAITING = [
    path
    for path in FILES
    if path.stem.startswith(("waits", "woken", "continued")) and kind_of(path) == "order_laptop"
]
ASKING = [path for path in FILES if path.stem in ("asked", "reminded")]


@pytest.mark.parametrize(("event", "outcome"), [("cancel", "cancelled"), ("completed", "done")])
@pytest.mark.parametrize("path", WAITING, ids=name_of)
async def test_a_job_that_waits_since_before_the_deployment_is_woken(
    path: Path, event: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedHistory.read(path)
    in_flight = InFlight(recorded, cuts_of(recorded)[-1], place=tmp_path, monkeypatch=monkeypatch)
    since = parse_utc(in_flight.past[-1]["Timestamp"])
    if event == "completed":
        report = JobReport(job_id=in_flight.instance_id, name="completed", reported_at=since)
        await in_flight.services.job_reports.put(report)
    assert await in_flight.go_on(event) == outcome
    assert is_told_well(in_flight, outcome), in_flight.told
    assert in_flight.simulation.now - since < timedelta(seconds=2), "it was not woken"


@pytest.mark.parametrize(("event", "outcome"), [("cancel", "cancelled"), ("answered", "done")])
@pytest.mark.parametrize("path", ASKING, ids=name_of)
async def test_a_job_that_asks_since_before_the_deployment_heeds_its_answer(
    path: Path, event: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedHistory.read(path)
    in_flight = InFlight(recorded, cuts_of(recorded)[-1], place=tmp_path, monkeypatch=monkeypatch)
    since = parse_utc(in_flight.past[-1]["Timestamp"])
    assert await in_flight.go_on(event) == outcome
    assert is_told_well(in_flight, outcome), in_flight.told
    # A licence is prepared for five seconds; both are asked for longer.
    assert in_flight.simulation.now - since < timedelta(seconds=6), "it was not woken"


@pytest.mark.parametrize("path", WAITING, ids=name_of)
async def test_who_waits_for_a_job_whose_kind_was_taken_out_is_told_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "JOBS", [])
    recorded = RecordedHistory.read(path)
    in_flight = InFlight(recorded, cuts_of(recorded)[-1], place=tmp_path, monkeypatch=monkeypatch)
    assert await in_flight.go_on() == "failed"
    assert in_flight.told[-1] == NO_LONGER


async def test_a_kind_may_be_taken_out_while_a_job_of_it_waits_longer_than_a_timer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its wait has taken several timers, and must not look shorter to the code that goes on with it."""
    run = FollowUpRun(tmp_path, monkeypatch)
    run.services.orders = InMemoryOrderService(
        clock=run.services.clock, confirm_after=steps.LONGEST_TIMER * 3
    )

    def take_out() -> None:
        if run.simulation.now - START > steps.LONGEST_TIMER * 2:
            monkeypatch.setattr(catalog, "JOBS", [])

    await run.follow(take_out)
    instance = run.simulation.instance()
    assert instance.status is Status.COMPLETED, instance.output
    assert run.services.connector.texts == [NO_LONGER]


def breaking_changes() -> dict[str, tuple[str, Any, str, Any]]:
    """Changes that no orchestration in flight survives: of which history, where, and what is there then."""
    begin, wait, show_job, settle = steps.begin, steps.wait, steps.show_job, approval._settle

    def noted_before(context: Any, job: Job, working: Any) -> Generator[Any, Any, Any]:
        yield from steps.note_broken(context, job)
        return (yield from begin(context, job, working))

    def noted_after(context: Any, job: Job, working: Any) -> Generator[Any, Any, Any]:
        outcome = yield from begin(context, job, working)
        yield from steps.note_broken(context, job)
        return outcome

    def longer(context: Any, time: timedelta, *events: Any, **more: Any) -> Generator[Any, Any, Any]:
        return (yield from wait(context, time * 2, *events, **more))

    def waits_first(context: Any, job: Job, working: Any) -> Generator[Any, Any, Any]:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
        return (yield from begin(context, job, working))

    def noted_once_settled(context: Any, job: Job, wanted: Any) -> Generator[Any, Any, Any]:
        settled = yield from settle(context, job, wanted)
        yield from steps.note_broken(context, job)
        return settled

    def shown_before_told(context: Any, job: Job, ended: Any, view: Any) -> Generator[Any, Any, Any]:
        yield from steps.show_ended(context, job, view, approval.STATES[type(ended)])
        yield from steps.tell(context, job, 1, ended.tell)

    def shown_twice(context: Any, job: Job, view: Any, *given: Any, **more: Any) -> Generator[Any, Any, Any]:
        view = yield from show_job(context, job, view, *given, **more)
        return (yield from show_job(context, job, view, *given, **{**more, "is_due": True}))

    def not_shown(context: Any, job: Job, view: Any, *given: Any, **more: Any) -> Generator[Any, Any, Any]:
        yield from ()
        return view

    return {
        "a call before the first": ("v1/ended", steps, "begin", noted_before),
        "a call after the first": ("v1/ended", steps, "begin", noted_after),
        "another length of the waits": ("v1/ended", steps, "wait", longer),
        "a timer before the first call": ("v1/ended", steps, "begin", waits_first),
        "a call after the answer": ("v2/rejected", approval, "_settle", noted_once_settled),
        "another order at the end": ("v2/rejected", approval, "_end", shown_before_told),
        "a stream that is updated twice": ("v2/streamed_and_told", steps, "show_job", shown_twice),
        "a stream that is not updated": ("v2/streamed_and_told", steps, "show_job", not_shown),
        "another back-off": ("v2/composed_anew", steps, "SHORTEST_BACK_OFF", timedelta(seconds=6)),
    }


@pytest.mark.parametrize("change", breaking_changes())
def test_a_change_that_no_orchestration_in_flight_survives_is_found_out(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the tests above are known to be able to fail."""
    name, module, attribute, changed = breaking_changes()[change]
    monkeypatch.setattr(module, attribute, changed)
    recorded = RecordedHistory.read(HISTORIES / f"{name}.json")
    with pytest.raises(AssertionError, match="step"):
        asyncio.run(replayed(recorded, tmp_path))
