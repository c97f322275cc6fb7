"""Reports that come at any moment, on the real SDK, with a restart after every step."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from agent.callbacks import ReportName
from agent.job_report import JobReport
from tests.devhost.simulation import START
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.test_on_the_sdk import FollowUpRun

pytestmark = test_on_the_sdk.pytestmark
AT_ONCE = timedelta(milliseconds=100)  # of the simulation's time, in which each step takes one


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FollowUpRun:
    return FollowUpRun(tmp_path, monkeypatch)


class Reporter:
    """Reports at some steps of a run: the report is written down, then its event is raised, or lost."""

    def __init__(self, run: FollowUpRun, reports: dict[int, ReportName], *, events_are_lost: bool) -> None:
        self._run = run
        self._reports = reports
        self._events_are_lost = events_are_lost
        self._step = 0
        self._writes: list[asyncio.Task[None]] = []
        self.last_at = START

    def __call__(self) -> None:
        self._step += 1
        name = self._reports.pop(self._step, None)
        if name is None:
            return
        self.last_at = self._run.simulation.now
        report = JobReport(job_id="i", name=name, reported_at=self.last_at)
        self._writes.append(asyncio.create_task(self._run.services.job_reports.put(report)))
        if not self._events_are_lost:
            self._run.simulation.raise_event("completed", None)

    @property
    def has_reported_all(self) -> bool:
        return not self._reports


@pytest.mark.parametrize("events_are_lost", [False, True])
@pytest.mark.parametrize("step", range(1, 8))
async def test_a_report_at_any_moment_is_followed_up_once(
    run: FollowUpRun, step: int, events_are_lost: bool
) -> None:
    until_the_next_check = timedelta(seconds=20 if events_are_lost else 0)
    reporter = Reporter(run, {step: "completed"}, events_are_lost=events_are_lost)
    await run.follow(reporter)
    assert reporter.has_reported_all, "the job ended before"
    assert run.simulation.instance().status.text == "Completed", run.simulation.instance().output
    assert run.services.connector.texts.count("") == 1  # the card
    assert run.simulation.now - reporter.last_at <= until_the_next_check + AT_ONCE


@pytest.mark.parametrize("step", range(1, 8))
async def test_reports_one_upon_another_are_followed_up_once(run: FollowUpRun, step: int) -> None:
    reports: dict[int, ReportName] = {step: "progress", step + 1: "progress", step + 2: "completed"}
    reporter = Reporter(run, reports, events_are_lost=False)
    await run.follow(reporter)
    assert reporter.has_reported_all, "the job ended before"
    assert run.simulation.instance().status.text == "Completed", run.simulation.instance().output
    assert run.services.connector.texts.count("") == 1
    assert run.simulation.now - reporter.last_at <= AT_ONCE
