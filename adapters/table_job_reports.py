"""The JobReports port on Azure Tables: a row a report, so that one of a name does not touch the others."""

from datetime import datetime

from adapters.table_values import PARTITION_KEY, ROW_KEY, literal
from adapters.tables import Tables, delete_rows
from agent.callbacks import ReportName
from agent.job_report import JobReport

JOB_REPORTS = "jobreports"


class TableJobReports:
    """``jobreports``: partition = job id, row = name of the report."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def put(self, report: JobReport) -> None:
        table = await self._tables.table(JOB_REPORTS)
        known = await table.get(report.job_id, row_key=report.name, select=("content",))
        if known is None or known.columns["content"] != report.content:
            columns = {"reportedAt": report.reported_at, "content": report.content}
            await table.upsert(report.job_id, columns, row_key=report.name)

    async def of(self, job_id: str) -> dict[ReportName, JobReport]:
        table = await self._tables.table(JOB_REPORTS)
        return {
            row.columns[ROW_KEY]: JobReport(
                job_id=job_id,
                name=row.columns[ROW_KEY],
                reported_at=row.columns["reportedAt"],
                content=row.columns["content"],
            )
            async for page in table.pages(f"{PARTITION_KEY} eq {literal(job_id)}")
            for row in page
        }

    async def forget_before(self, cutoff: datetime) -> int:
        table = await self._tables.table(JOB_REPORTS)
        return await delete_rows(table, f"reportedAt lt {literal(cutoff)}")
