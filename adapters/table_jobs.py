"""The JobBoard port on Azure Tables: a partition a user, a row a job."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.table_client import RowExists
from adapters.table_values import PARTITION_KEY, ROW_KEY, Row, literal
from adapters.tables import Tables, delete_rows
from agent.answer import Answer
from agent.job_entry import ENDED, JobEntry

JOBS = "jobs"
LONGEST_COLUMN = 32_000  # characters; a column of a table holds 64 KiB in UTF-16


class TableJobBoard:
    """``jobs``: partition = owner key, row = job id. One query reads all that an owner has, which
    ``forget_before`` keeps short.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, entry: JobEntry) -> bool:
        table = await self._tables.table(JOBS)
        try:
            await table.insert(entry.owner_key, _columns(entry), row_key=entry.job_id)
        except RowExists:
            return False
        return True

    async def put(self, entry: JobEntry) -> None:
        table = await self._tables.table(JOBS)
        await table.upsert(entry.owner_key, _columns(entry), row_key=entry.job_id)

    async def of_owner(self, owner_key: str, *, at_most: int) -> list[JobEntry]:
        table = await self._tables.table(JOBS)
        pages = table.pages(f"{PARTITION_KEY} eq {literal(owner_key)}")
        theirs = [_entry_of(row) async for page in pages for row in page]
        return sorted(theirs, key=lambda entry: entry.requested_at, reverse=True)[:at_most]

    async def find(self, owner_key: str, job_id: str) -> JobEntry | None:
        table = await self._tables.table(JOBS)
        row = await table.get(owner_key, row_key=job_id)
        return _entry_of(row) if row else None

    async def forget_before(self, cutoff: datetime) -> int:
        table = await self._tables.table(JOBS)
        ended = " or ".join(f"state eq {literal(state)}" for state in ENDED)
        return await delete_rows(table, f"updatedAt lt {literal(cutoff)} and ({ended})")


def _columns(entry: JobEntry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "title": entry.title,
        "state": entry.state,
        "step": entry.step,
        "percent": entry.percent,
        "requestedAt": entry.requested_at,
        "updatedAt": entry.updated_at,
        "channelId": entry.channel_id,
        "conversationId": entry.conversation_id,
        "hasBegun": entry.has_begun,
        "answer": _json(entry.answer),
        "request": _json(entry.request),
        "reason": entry.reason or None,
    }


def _json(value: Any) -> str | None:
    """The value for a column; None where there is none, or where it is too large for one."""
    text = msgspec.json.encode(value).decode() if value is not None else None
    return text if text and len(text) <= LONGEST_COLUMN else None


def _entry_of(row: Row) -> JobEntry:
    columns = row.columns
    return JobEntry(
        job_id=columns[ROW_KEY],
        kind=columns["kind"],
        title=columns["title"],
        owner_key=columns[PARTITION_KEY],
        state=columns["state"],
        step=columns["step"],
        percent=columns.get("percent"),
        requested_at=columns["requestedAt"],
        updated_at=columns["updatedAt"],
        channel_id=columns["channelId"],
        conversation_id=columns["conversationId"],
        has_begun=columns.get("hasBegun", True),
        answer=msgspec.json.decode(answer, type=Answer) if (answer := columns.get("answer")) else None,
        request=msgspec.json.decode(request) if (request := columns.get("request")) else None,
        reason=columns.get("reason", ""),
    )
