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
from agent.jobs.definition import Job
from devhost.durable.episode import run_episode
from devhost.durable.history import Event, EventType, Status, parse_utc
from devhost.durable.records import EpisodeChange
from devhost.invoker import Invoker
from orchestrators import steps
from tests.devhost.simulation import START
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.in_flight import InFlight, functions_of_today
from tests.unit.orchestrators.recorded_history import HISTORIES, RecordedHistory, given_to_activity
from tests.unit.orchestrators.test_on_the_sdk import FollowUpRun

pytestmark = test_on_the_sdk.pytestmark

FILES = sorted(HISTORIES.glob("*/*.json"))
PLACED = "Great! I have successfully placed your order #1. I'll notify you when it's delivered."
DELIVERED = ""  # a card
TOO_LATE = "It is too late to cancel: your order #1 was delivered meanwhile."
CANCELLED = "I have cancelled your order #1 (laptop)."
BROKEN = "I am sorry, your laptop could not be ordered. Please say 'order a laptop' to try again."
NO_LONGER = "I am sorry, I can no longer do what you asked me for a while ago."
MOST_STEPS, LAST_STEPS = 24, 6  # of a long history the last steps are made only: each replays all before it


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


async def replayed(recorded: RecordedHistory, place: Path) -> None:
    """Each of its steps, made once more by today's code, decides what was decided then."""
    steps_made = list(recorded.steps())
    for number in latest(range(len(steps_made))):
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


def assert_told_well(told: list[str], outcome: str) -> None:
    expected = {
        "done": ([PLACED, DELIVERED], [DELIVERED], [PLACED, TOO_LATE], [TOO_LATE]),
        "cancelled": ([PLACED, CANCELLED], [CANCELLED]),
        "failed": ([BROKEN], [PLACED, BROKEN]),
    }
    assert told in expected[outcome], outcome


def outcomes_after(past: list[Event], event: str | None) -> set[str]:
    """How a job may end that has come so far."""
    failures = [one for one in past if one["EventType"] == EventType.TASK_FAILED]
    if len(failures) == steps.RETRIES.max_number_of_attempts:
        return {"failed"}
    names = {one["Name"] for one in past if one["EventType"] == EventType.EVENT_RAISED}
    if "cancel" in names:
        return {"cancelled"}
    return {"cancelled", "done"} if event == "cancel" else {"done"}


def cuts_of(recorded: RecordedHistory) -> Sequence[int]:
    """After how many steps it may be in flight."""
    count = len(list(recorded.steps())) - recorded.has_ended
    return latest(range(1, count + 1))


def latest(numbers: range) -> range:
    return numbers[-LAST_STEPS:] if len(numbers) > MOST_STEPS else numbers


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
    for steps_made in cuts_of(recorded):
        in_flight = InFlight(recorded, steps_made, place=tmp_path, monkeypatch=monkeypatch)
        outcome = await in_flight.go_on(event)
        assert outcome in outcomes_after(in_flight.past, event), f"after step {steps_made}"
        assert_told_well(in_flight.told, outcome)


WAITING = [path for path in FILES if path.stem.startswith(("waits", "woken", "continued"))]


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
    assert_told_well(in_flight.told, outcome)
    assert in_flight.simulation.now - since < timedelta(seconds=1), "it was not woken"


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


def breaking_changes() -> dict[str, tuple[str, Any]]:
    """Changes of the steps that no orchestration in flight survives."""
    begin, wait = steps.begin, steps.wait

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

    return {
        "a call before the first": ("begin", noted_before),
        "a call after the first": ("begin", noted_after),
        "another length of the waits": ("wait", longer),
        "a timer before the first call": ("begin", waits_first),
    }


@pytest.mark.parametrize("change", breaking_changes())
def test_a_change_that_no_orchestration_in_flight_survives_is_found_out(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the tests above are known to be able to fail."""
    monkeypatch.setattr(steps, *breaking_changes()[change])
    recorded = RecordedHistory.read(HISTORIES / "v1" / "ended.json")
    with pytest.raises(AssertionError, match="step"):
        asyncio.run(replayed(recorded, tmp_path))
