"""What was reported of jobs, in memory and on Azure Tables (Azurite)."""

import asyncio
from datetime import UTC, datetime, timedelta

from agent.callbacks import ReportName
from agent.job_report import LARGEST_REPORT, JobReport
from agent.ports import JobReports
from tests.contract.test_stores import a_name

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def report(
    job_id: str, name: ReportName = "completed", content: bytes = b"{}", *, at: datetime = NOON
) -> JobReport:
    return JobReport(job_id=job_id, name=name, reported_at=at, content=content)


async def test_reports_are_read_as_they_came(job_reports: JobReports) -> None:
    job_id = a_name()
    progress = report(job_id, "progress", '{ "step": "ä \U0001f600\\u0000" }'.encode())
    failed = report(job_id, "failed", b'{"why": "' + b"x" * (LARGEST_REPORT - 11) + b'"}')
    for one in (progress, failed):
        await job_reports.put(one)
    assert await job_reports.of(job_id) == {"progress": progress, "failed": failed}
    assert progress.body == {"step": "ä \U0001f600\0"}


async def test_of_a_job_that_was_not_reported_on_there_is_nothing(job_reports: JobReports) -> None:
    job_id = a_name()
    await job_reports.put(report(f"{job_id}x"))
    await job_reports.put(report("'" + job_id))
    assert await job_reports.of(job_id) == {}
    assert await job_reports.of(f"{job_id}' or '1' eq '1") == {}


async def test_a_newer_report_takes_the_place_of_the_one_of_its_name(job_reports: JobReports) -> None:
    job_id, later = a_name(), NOON + timedelta(minutes=1)
    newer = report(job_id, "progress", b'{"percent":60}', at=later)
    await job_reports.put(report(job_id, "progress", b'{"percent":40}'))
    await job_reports.put(newer)
    assert await job_reports.of(job_id) == {"progress": newer}


async def test_the_same_report_again_changes_nothing(job_reports: JobReports) -> None:
    job_id = a_name()
    first = report(job_id)
    await job_reports.put(first)
    await job_reports.put(report(job_id, at=NOON + timedelta(minutes=1)))
    assert await job_reports.of(job_id) == {"completed": first}


async def test_of_many_at_once_one_of_each_name_stays_and_none_is_broken(job_reports: JobReports) -> None:
    job_id = a_name()
    names: tuple[ReportName, ...] = ("progress", "completed", "failed")
    put = [report(job_id, name, b'{"n":%d}' % number) for number in range(4) for name in names]
    await asyncio.gather(*(job_reports.put(one) for one in put))
    kept = await job_reports.of(job_id)
    assert set(kept) == set(names)
    assert all(one in put for one in kept.values())


async def test_old_reports_are_dropped_and_young_ones_kept(job_reports: JobReports) -> None:
    job_id, long_ago = a_name(), NOON - timedelta(days=400)
    young = report(job_id, "completed")
    await job_reports.put(report(job_id, "progress", at=long_ago))
    await job_reports.put(report(job_id, "failed", at=long_ago))
    await job_reports.put(young)
    assert await job_reports.forget_before(long_ago + timedelta(seconds=1)) == 2
    assert await job_reports.of(job_id) == {"completed": young}
