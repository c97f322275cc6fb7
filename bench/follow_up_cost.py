"""What one follow-up costs: storage operations counted on Azurite, history events counted in the task hub."""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import msgspec

from bench.acknowledgements import NOT_DUE_SECONDS, take_on
from bench.field import JOBS_ON_AZURITE
from bench.figures import markdown
from bench.inbound import wait_for_first_turn
from bench.options import Options
from bench.prices import dollars_of_a_million
from bench.programs import ROOT, BenchError, RunningStub, Server, running, running_stub
from bench.provider_cost import DEFAULT_INTERVAL, QUEUES, ProviderCost, idle_polls_a_month, provider_cost
from bench.storage import running_azurite
from bench.storage_log import requests_in
from bench.turns import TENANTS
from local.ports import LOOPBACK

JOBS = 20  # one after the other
DUE_SECONDS = 6.0
PATIENCE_SECONDS = 60.0
SETTLE_SECONDS = 1.0  # until the last step is committed, and the log written
INSTANCES = "/runtime/webhooks/durabletask/instances"

Operations = Mapping[tuple[str, str, str], float]


class FollowUpCost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one job that tells one thing, and of the turn that started it. ``first``: the user was not known."""

    first: Operations
    later: Operations
    events_shown: int
    provider: ProviderCost
    prices: Mapping[str, float]
    polling_interval: float  # seconds
    title: str = "A follow-up's cost: one turn, one job, one thing told"

    def table(self) -> str:
        return f"{self._operations()}\n\n{self._dollars()}\n\n{self._idle()}"

    def _operations(self) -> str:
        names = sorted(set(self.first) | set(self.later))
        rows: list[list[object]] = [
            [f"{service} {resource}: {method}", _count(self.first.get(name)), _count(self.later.get(name))]
            for name in names
            for service, method, resource in [name]
        ]
        rows.append(["all", _count(sum(self.first.values())), _count(sum(self.later.values()))])
        return markdown(["counted on Azurite", "a user's first", "a later one"], rows)

    def _dollars(self) -> str:
        provider = self.provider
        tables, queues = (
            sum(count for (service, _, _), count in self.later.items() if service == kind)
            for kind in ("Table", "Queue")
        )
        lines: list[tuple[str, str, float, str]] = [
            ("operations of the app on its tables", "counted", tables, "table"),
            ("operations of the app on queues", "counted", queues, "queue"),
            ("operations of the task hub on its tables", "derived", provider.table_operations, "table"),
            ("operations of the task hub on its queues", "derived", provider.queue_operations, "queue"),
            ("executions: the turn", "counted", 1, "execution"),
            ("executions: runs of the orchestrator", "counted", provider.runs, "execution"),
            ("executions: activity functions", "counted", provider.activities, "execution"),
        ]
        dollars = [dollars_of_a_million(line[2], name=line[3], prices=self.prices) for line in lines]
        rows: list[list[object]] = [
            [what, how, _count(operations), f"{price:.2f}"]
            for (what, how, operations, _), price in zip(lines, dollars, strict=True)
        ]
        rows.append(["all of these", "", "", f"{sum(dollars):.2f}"])
        rows.append(["rows in the task hub's tables", "derived", provider.rows, "-"])
        rows.append(["history events by the management API", "counted", self.events_shown, "-"])
        return markdown(["of a later follow-up", "how", "number", "$ for a million"], rows)

    def _idle(self) -> str:
        rows: list[list[object]] = []
        for interval in (self.polling_interval, DEFAULT_INTERVAL):
            polls = idle_polls_a_month(queues=QUEUES, longest_interval=interval, instances=1)
            dollars = dollars_of_a_million(polls / 1_000_000, name="queue", prices=self.prices)
            rows.append([f"{interval:g}", f"{polls / 1_000_000:.2f}", f"{dollars:.2f}"])
        return markdown(["one idle instance, polling each s", "million polls a month (derived)", "$"], rows)


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def follow_up_cost(options: Options) -> FollowUpCost:
    debug_log = options.logs / "azurite-debug.log"
    with (
        running_stub(options.logs) as stub,
        running_azurite(options.logs, debug_log=debug_log) as azurite,
        running(JOBS_ON_AZURITE.on(azurite), stub, options.logs) as server,
    ):
        wait_for_first_turn(server, stub)
        # Imports, connections and the tables' making are not what is counted.
        take_on(server, stub, due=time.time() + NOT_DUE_SECONDS, concurrency=1, most=1)
        first, _ = _counted(server, stub, debug_log, users=JOBS)
        later, ended = _counted(server, stub, debug_log, users=JOBS)
        shown = {_events_shown(server, job_id) for job_id in ended}
        [hub] = server.data_dir.glob("*.sqlite")
        costs = {provider_cost(history) for history in _histories(hub, ended)}
    if len(costs) != 1 or len(shown) != 1:
        raise BenchError(f"the jobs are not alike: {costs}, {shown} events shown")
    return FollowUpCost(
        first=first,
        later=later,
        events_shown=shown.pop(),
        provider=costs.pop(),
        prices=options.prices,
        polling_interval=_polling_interval(),
    )


def _counted(
    server: Server, stub: RunningStub, debug_log: Path, *, users: int
) -> tuple[Operations, Sequence[str]]:
    """What each of some jobs asked of storage, until it was followed up; and their ids."""
    before = set(_ended(server))
    stub.set_back(delay=0)
    since = _now()
    taken = take_on(
        server, stub, due=time.time() + DUE_SECONDS, concurrency=1, most=JOBS, tenants=TENANTS, users=users
    )
    if not all(turn.is_acknowledged for turn in taken):
        raise BenchError("not every turn was acknowledged")
    gives_up_at = time.monotonic() + PATIENCE_SECONDS
    while len(ended := set(_ended(server)) - before) < JOBS:
        if time.monotonic() > gives_up_at:
            raise BenchError(f"{JOBS - len(ended)} jobs did not end; its log: {server.log_path}")
        time.sleep(0.25)
    time.sleep(SETTLE_SECONDS)
    asked: Counter[tuple[str, str, str]] = requests_in(
        debug_log.read_text("utf-8", errors="replace"), since=since, until=_now()
    )
    return {name: count / JOBS for name, count in asked.items()}, sorted(ended)


def _polling_interval() -> float:
    """As host.json says."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    told = host["extensions"]["durableTask"]["storageProvider"]["maxQueuePollingInterval"]
    hours, minutes, seconds = told.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ended(server: Server) -> list[str]:
    instances = _asked(server, f"{INSTANCES}?runtimeStatus=Completed")
    return [instance["instanceId"] for instance in instances]


def _events_shown(server: Server, job_id: str) -> int:
    return len(_asked(server, f"{INSTANCES}/{job_id}?showHistory=True")["historyEvents"])


def _asked(server: Server, target: str) -> Any:
    with closing(HTTPConnection(LOOPBACK, server.port, timeout=10)) as connection:
        connection.request("GET", target)
        return json.loads(connection.getresponse().read())


def _histories(hub: Path, job_ids: Sequence[str]) -> list[list[dict[str, Any]]]:
    """All events of each job: the management API leaves those out that mark the orchestrator's runs."""
    with closing(sqlite3.connect(f"file:{hub}?mode=ro", uri=True)) as database:
        return [
            [
                json.loads(text)
                for (text,) in database.execute(
                    "SELECT event FROM history WHERE instance_id = ? ORDER BY position", (job_id,)
                )
            ]
            for job_id in job_ids
        ]
