"""The run: turns come, some of them again and again, the hosts are killed, and all is written down."""

import asyncio
import json
import re
import time
from collections import defaultdict
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import aiohttp

from adapters.table_jobs import JOBS
from adapters.table_turn_claims import TURN_CLAIMS
from local.azurite import Azurite
from local.functions_host import functions_url
from testconnector.options import Options
from testconnector.recording import Call
from testconnector.server import ScriptedConnector, running
from testconnector.streams import stream_info
from tests.faults.fault_run import unread
from tests.faults.tables import all_rows_of, ledger, rows_of
from tests.soak.channel import Channel
from tests.soak.hosts import Hosts, kill_now_and_then
from tests.soak.plan import Plan, PlannedTurn, kills_of, turns_of
from tests.soak.record import Entered, Part, Said, Says, Sends, SoakRecord

SAYS = re.compile(r"Soak n(\d+) (?:is (taken on|done)|(broke))")
ENDED = {"Completed", "Failed", "Terminated"}
DRAIN_SECONDS = 150.0
STREAM_PACE = 1.0


async def run(plan: Plan, *, azurite: Azurite, place: Path) -> SoakRecord:
    """Play the turns and the kills, wait for the end of all, and tell what was seen. Raises StackError."""
    options = Options(stream_pace=STREAM_PACE, most_calls=plan.turns * 80)
    async with running(options) as connector, aiohttp.ClientSession() as session:
        hosts = Hosts(azurite, connector, place=place)
        channel = Channel(hosts, connector, session=session)
        try:
            await hosts.start()
            began = time.monotonic()
            await asyncio.gather(
                kill_now_and_then(kills_of(plan), hosts, under_way=channel.under_way, began=began),
                *(_play(turn, channel, at=began + turn.at) for turn in turns_of(plan)),
            )
            instances = await _once_ended(plan, hosts, session)
            record = await _record(connector, channel, hosts, instances, azurite=azurite)
            _keep(record, connector.calls, place=place)
            return record
        finally:
            await hosts.stop()


async def _play(turn: PlannedTurn, channel: Channel, *, at: float) -> None:
    await asyncio.sleep(max(at - time.monotonic(), 0))
    await channel.play(turn)


async def _once_ended(plan: Plan, hosts: Hosts, session: aiohttp.ClientSession) -> dict[str, str]:
    """The runtime status of each orchestration, as soon as all have ended, or when time is up."""
    deadline = time.monotonic() + DRAIN_SECONDS
    url = f"{functions_url(hosts.ports(0))}/runtime/webhooks/durabletask/instances"
    while True:
        async with session.get(url, params={"top": "100000"}, raise_for_status=True) as answer:
            found = {one["instanceId"]: one["runtimeStatus"] for one in await answer.json()}
        has_ended = len(found) >= plan.turns and set(found.values()) <= ENDED
        if has_ended or time.monotonic() > deadline:
            return found
        await asyncio.sleep(1)


async def _record(
    connector: ScriptedConnector,
    channel: Channel,
    hosts: Hosts,
    instances: dict[str, str],
    *,
    azurite: Azurite,
) -> SoakRecord:
    claims = await rows_of(TURN_CLAIMS, azurite)

    def claim_of(turn_key: str) -> tuple[str, int]:
        columns = claims[turn_key].columns if turn_key in claims else {}
        return str(columns.get("state", "missing")), int(columns.get("ambiguities", 0))

    board = await all_rows_of(JOBS, azurite)
    deliveries = await ledger(azurite)
    return SoakRecord(
        turns=channel.turns(claim_of),
        said=[said for call in connector.calls for said in said_in(call)],
        parts=[part for call in connector.calls if (part := part_of(call))],
        kills=hosts.kills,
        entered=entered_in(hosts.journal),
        ledger=[
            Sends(
                delivery_id=record.delivery_id,
                state=record.state,
                has_ended=record.has_ended,
                ambiguities=record.ambiguities,
            )
            for record in deliveries.values()
        ],
        instances=instances,
        running=[row.columns["RowKey"] for row in board if row.columns["state"] == "running"],
        unread=await unread(azurite),
    )


def _keep(record: SoakRecord, calls: list[Call], *, place: Path) -> None:
    """Leave the evidence beside the hosts' logs."""
    lines = [json.dumps(call.shown(), ensure_ascii=False) for call in calls]
    (place / "calls.jsonl").write_text("\n".join(lines), "utf-8")
    (place / "record.json").write_text(json.dumps(asdict(record), indent=1), "utf-8")


def said_in(call: Call) -> list[Said]:
    """What a message that was taken says of turns: a whole one, a stream's first part or its last.

    A stream acknowledges with its first part alone; its last may show that once more.
    """
    if not (call.accepted and call.operation in ("send", "reply") and isinstance(call.body, dict)):
        return []
    info = stream_info(call.body)
    is_final = info is not None and info["streamType"] == "final"
    if info and not is_final and info.get("streamId"):
        return []
    found = SAYS.findall(json.dumps(call.body, ensure_ascii=False))
    return [
        Said(number=int(number), says=cast("Says", says or broke), at=call.at)
        for number, says, broke in dict.fromkeys(found)
        if not (is_final and says == "taken on")
    ]


def part_of(call: Call) -> Part | None:
    """A part of a stream; None for what is none, or was never answered."""
    if call.operation not in ("send", "reply") or not isinstance(call.body, dict):
        return None
    info = stream_info(call.body)
    if info is None:
        return None
    number = re.search(r"Soak n(\d+)", str(call.body.get("text", "")))
    return Part(
        stream_id=str(info.get("streamId") or call.activity_id or ""),
        number=int(number[1]) if number else None,
        at=call.at,
        stream_type=str(info.get("streamType", "streaming")),
        was_taken=call.accepted,
        answer=str(call.status),
    )


def entered_in(journal: Path) -> list[Entered]:
    """The journal's moments are the wall clock's: here they are made the run's."""
    ahead = time.time() - time.monotonic()
    lines = journal.read_text("utf-8").splitlines() if journal.exists() else []
    entered: dict[tuple[str, str, int], list[Entered]] = defaultdict(list)
    for line in map(json.loads, lines):
        same, at = entered[line["jobId"], line["what"], line["pid"]], line["at"] - ahead
        if line["event"] == "entered":
            same.append(Entered(job_id=line["jobId"], what=line["what"], at=at, pid=line["pid"]))
        else:
            same[-1] = replace(same[-1], left_at=at)
    return [one for same in entered.values() for one in same]
