"""The Approvals port on Azure Tables: a row an approval, each change checked against the row's etag."""

from datetime import datetime
from typing import Any

import msgspec

from adapters.table_client import RowChanged, RowExists, RowMissing
from adapters.table_values import Row, literal
from adapters.tables import Tables, delete_rows
from agent.approval import Approval, ApprovalEntry

APPROVALS = "approvals"
OPEN = "state eq 'open'"


class TableApprovals:
    """``approvals``: partition = approval id; the columns are the fields of ApprovalEntry."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, entry: ApprovalEntry) -> ApprovalEntry | None:
        table = await self._tables.table(APPROVALS)
        try:
            etag = await table.insert(entry.approval_id, _columns(entry))
        except RowExists:
            return None
        return msgspec.structs.replace(entry, version=etag)

    async def find(self, approval_id: str) -> ApprovalEntry | None:
        table = await self._tables.table(APPROVALS)
        row = await table.get(approval_id)
        return _entry_of(approval_id, row) if row else None

    async def answer(self, entry: ApprovalEntry) -> ApprovalEntry | None:
        table = await self._tables.table(APPROVALS)
        try:
            etag = await table.replace(entry.approval_id, _columns(entry), etag=entry.version)
        except (RowChanged, RowMissing):
            return None
        return msgspec.structs.replace(entry, version=etag)

    async def forget_before(self, cutoff: datetime) -> int:
        table = await self._tables.table(APPROVALS)
        ended = f"not ({OPEN}) and answeredAt lt {literal(cutoff)}"
        return await delete_rows(table, f"({ended}) or ({OPEN} and expiresAt lt {literal(cutoff)})")


def _columns(entry: ApprovalEntry) -> dict[str, Any]:
    return {
        "jobId": entry.job_id,
        "title": entry.title,
        "approval": msgspec.json.encode(entry.approval).decode(),
        "askedBy": entry.asked_by,
        "putToKey": entry.put_to_key,
        "askedAt": entry.asked_at,
        "expiresAt": entry.expires_at,
        "state": entry.state,
        "answeredAt": entry.answered_at,
        "answeredBy": entry.answered_by,
        "comment": entry.comment,
    }


def _entry_of(approval_id: str, row: Row) -> ApprovalEntry:
    columns = row.columns
    return ApprovalEntry(
        approval_id=approval_id,
        job_id=columns["jobId"],
        title=columns["title"],
        approval=msgspec.json.decode(columns["approval"], type=Approval),
        asked_by=columns["askedBy"],
        put_to_key=columns["putToKey"],
        asked_at=columns["askedAt"],
        expires_at=columns["expiresAt"],
        state=columns["state"],
        answered_at=columns.get("answeredAt"),
        answered_by=columns["answeredBy"],
        comment=columns["comment"],
        version=row.etag,
    )
