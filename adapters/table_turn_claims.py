"""The TurnClaims port on Azure Tables: a row a turn, inserted if absent."""

import json
import logging
import zlib
from datetime import datetime
from typing import Any

import msgspec

from adapters.table_client import RowChanged, RowExists, RowMissing
from adapters.table_values import literal
from adapters.tables import Tables, delete_rows
from agent.turn_claim import TurnClaim, TurnResponse
from agent.view import View

log = logging.getLogger(__name__)

TURN_CLAIMS = "turnclaims"
LARGEST_COLUMN = 64 * 1024  # bytes (Azure Table Storage documentation, "Property types")


class TableTurnClaims:
    """``turnclaims``: partition = turn key; the columns are the fields of TurnClaim.

    A response to give again is kept as zipped JSON; one that a column cannot hold is not, and then a
    redelivery is answered without it.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, turn_key: str, *, at: datetime, is_lasting: bool = False) -> TurnClaim | None:
        table = await self._tables.table(TURN_CLAIMS)
        try:
            etag = await table.insert(
                turn_key, {"state": "claimed", "claimedAt": at, "isLasting": is_lasting}
            )
        except RowExists:
            return None
        return TurnClaim(turn_key=turn_key, state="claimed", claimed_at=at, version=etag)

    async def read(self, turn_key: str) -> TurnClaim | None:
        table = await self._tables.table(TURN_CLAIMS)
        row = await table.get(turn_key)
        if row is None:
            return None
        response, view = row.columns.get("response"), row.columns.get("view")
        return TurnClaim(
            turn_key=turn_key,
            state=row.columns["state"],
            claimed_at=row.columns["claimedAt"],
            sent_ids=tuple(json.loads(row.columns.get("sentIds", "[]"))),
            ambiguities=row.columns.get("ambiguities", 0),
            response=TurnResponse(**json.loads(zlib.decompress(response))) if response else None,
            view=msgspec.json.decode(view, type=View) if view else None,
            version=row.etag,
        )

    async def take_over(self, claim: TurnClaim, *, at: datetime) -> TurnClaim | None:
        taken = msgspec.structs.replace(claim, state="claimed", claimed_at=at)
        return await self._merge(taken, {"state": "claimed", "claimedAt": at})

    async def write(self, claim: TurnClaim) -> TurnClaim | None:
        columns: dict[str, Any] = {"state": claim.state}
        if claim.sent_ids:
            columns["sentIds"] = json.dumps(claim.sent_ids)
        if claim.ambiguities:
            columns["ambiguities"] = claim.ambiguities
        if claim.view is not None:
            columns["view"] = msgspec.json.encode(claim.view).decode()
        if claim.response is not None:
            kept = {"status": claim.response.status, "body": claim.response.body}
            zipped = zlib.compress(json.dumps(kept).encode())
            if len(zipped) <= LARGEST_COLUMN:
                columns["response"] = zipped
            else:
                log.warning("The response to turn %s is too large to be given again", claim.turn_key)
        return await self._merge(claim, columns)

    async def _merge(self, claim: TurnClaim, columns: dict[str, Any]) -> TurnClaim | None:
        table = await self._tables.table(TURN_CLAIMS)
        try:
            etag = await table.merge(claim.turn_key, columns, etag=claim.version)
        except (RowChanged, RowMissing):
            return None
        return msgspec.structs.replace(claim, version=etag)

    async def forget(self, turn_key: str) -> None:
        table = await self._tables.table(TURN_CLAIMS)
        await table.delete(turn_key)

    async def forget_before(self, cutoff: datetime) -> int:
        table = await self._tables.table(TURN_CLAIMS)
        return await delete_rows(table, f"claimedAt lt {literal(cutoff)} and isLasting eq {literal(False)}")
