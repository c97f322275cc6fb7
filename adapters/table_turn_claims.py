"""The TurnClaims port on Azure Tables: a row a turn, inserted if absent."""

import json
import zlib
from contextlib import suppress
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from adapters.tables import ROW, Tables, delete_rows
from agent.turn_claim import TurnClaim, TurnResponse

TURN_CLAIMS = "turnclaims"


class TableTurnClaims:
    """``turnclaims``: partition = turn key; the columns are the fields of TurnClaim.

    A response to give again is kept as zipped JSON: a column holds 64 KiB.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def insert(self, turn_key: str, *, at: datetime, is_lasting: bool = False) -> bool:
        table = await self._tables.table(TURN_CLAIMS)
        row = {"state": "claimed", "claimedAt": at, "isLasting": is_lasting}
        row |= {"PartitionKey": turn_key, "RowKey": ROW}
        try:
            await table.create_entity(row)
        except ResourceExistsError:
            return False
        return True

    async def read(self, turn_key: str) -> TurnClaim | None:
        table = await self._tables.table(TURN_CLAIMS)
        try:
            row = await table.get_entity(turn_key, ROW)
        except ResourceNotFoundError:
            return None
        response = row.get("response")
        return TurnClaim(
            turn_key=turn_key,
            state=row["state"],
            claimed_at=row["claimedAt"],
            sent_ids=tuple(json.loads(row.get("sentIds", "[]"))),
            ambiguities=row.get("ambiguities", 0),
            response=TurnResponse(**json.loads(zlib.decompress(response))) if response else None,
            version=row.metadata["etag"] or "",
        )

    async def take_over(self, claim: TurnClaim, *, at: datetime) -> bool:
        table = await self._tables.table(TURN_CLAIMS)
        try:
            await table.update_entity(
                {"PartitionKey": claim.turn_key, "RowKey": ROW, "state": "claimed", "claimedAt": at},
                mode=UpdateMode.MERGE,
                etag=claim.version,
                match_condition=MatchConditions.IfNotModified,
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            return False
        return True

    async def write(self, claim: TurnClaim) -> None:
        row: dict[str, Any] = {"PartitionKey": claim.turn_key, "RowKey": ROW, "state": claim.state}
        if claim.sent_ids:
            row["sentIds"] = json.dumps(claim.sent_ids)
        if claim.ambiguities:
            row["ambiguities"] = claim.ambiguities
        if claim.response is not None:
            kept = {"status": claim.response.status, "body": claim.response.body}
            row["response"] = zlib.compress(json.dumps(kept).encode())
        table = await self._tables.table(TURN_CLAIMS)
        with suppress(ResourceNotFoundError):
            await table.update_entity(row, mode=UpdateMode.MERGE)

    async def forget(self, turn_key: str) -> None:
        table = await self._tables.table(TURN_CLAIMS)
        await table.delete_entity(turn_key, ROW)

    async def forget_before(self, cutoff: datetime) -> int:
        table = await self._tables.table(TURN_CLAIMS)
        return await delete_rows(table, "claimedAt lt @cutoff and isLasting eq false", cutoff=cutoff)
