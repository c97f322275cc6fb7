"""Ten thousand instances that wait in timers: their memory, how late they go on, how soon devhost is back."""

import json
import logging
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from bench.durable_host import COMPLETED, PATIENCE_SECONDS, DurableHost, running_host
from bench.figures import markdown, percentile, spread
from bench.options import Options
from bench.programs import BenchError

log = logging.getLogger(__name__)
INSTANCES, DUE = 10_000, 1_000
WARM = 500  # instances that end at once: what devhost takes up anyhow is there before it is weighed
LEAD_SECONDS = 4.0  # at the least, from the start of those to the second in which they are due
FAR = timedelta(hours=6)
EXECUTION_COMPLETED, TIMER_FIRED = 1, 11  # numbers of history events


class Round(msgspec.Struct, frozen=True):
    """``late``: seconds from the moment an instance was due to the step that it then makes."""

    start_seconds: float
    memory_bytes_each: float
    late: Sequence[float]
    empty_restart_seconds: float
    full_restart_seconds: float


class WaitingInstances(msgspec.Struct, frozen=True, kw_only=True):
    """All rounds, and the table of them."""

    rounds: Sequence[Round]
    instances: int
    due: int

    @property
    def title(self) -> str:
        return f"{self.instances} instances wait in timers, {self.due} of them come due in one second"

    def table(self) -> str:
        rounds = self.rounds
        rows: list[list[object]] = [
            ["s to start them all", spread([r.start_seconds for r in rounds])],
            ["bytes of memory each", spread([r.memory_bytes_each for r in rounds])],
            ["s late, p50", spread([percentile(r.late, 50) or 0 for r in rounds])],
            ["s late, p99", spread([percentile(r.late, 99) or 0 for r in rounds])],
            ["s until it serves after kill -9", spread([r.full_restart_seconds for r in rounds])],
            ["the same with an empty hub", spread([r.empty_restart_seconds for r in rounds])],
        ]
        return markdown(["", "measured"], rows)


def waiting_instances(options: Options) -> WaitingInstances:
    instances, due = (200, 20) if options.is_quick else (INSTANCES, DUE)
    rounds = []
    for number in range(options.rounds_or(3)):
        place = options.logs / f"waiting-{number}"
        rounds.append(_round(place, instances=instances, due=due))
        log.info("round %s done", number + 1)
    return WaitingInstances(rounds=rounds, instances=instances, due=due)


def _round(place: Path, *, instances: int, due: int) -> Round:
    with running_host(place / "empty", place / "empty.log") as empty:
        empty_restart = empty.wait_until_it_serves()
    with running_host(place / "hub", place / "first.log") as host:
        host.wait_until_it_serves()
        host.start("wait", [_text(datetime.now(UTC))] * WARM)
        host.wait_until_none_runs()
        before = host.resident_bytes
        began = time.perf_counter()
        host.start("wait", [_text(datetime.now(UTC) + FAR)] * (instances - due))
        _wait_until_all_wait(host, instances - due, patience=PATIENCE_SECONDS)
        taken = time.perf_counter() - began
        lead = LEAD_SECONDS + 3 * taken * due / instances
        second = datetime.now(UTC) + timedelta(seconds=lead)
        began = time.perf_counter()
        host.start("wait", [_text(second + timedelta(seconds=place / due)) for place in range(due)])
        _wait_until_all_wait(host, instances, patience=lead)
        start_seconds = taken + time.perf_counter() - began
        memory = (host.resident_bytes - before) / instances
        time.sleep((second - datetime.now(UTC)).total_seconds() + 1.0)
        _wait_until_ended(host, WARM + due)
        late = lateness(host.hub_path, since=second)
        if len(late) != due:
            raise BenchError(f"{len(late)} of {due} instances have gone on")
        host.process.kill()
    with running_host(place / "hub", place / "second.log") as again:
        full_restart = again.wait_until_it_serves()
    return Round(start_seconds, memory, late, empty_restart, full_restart)


def _text(moment: datetime) -> str:
    return moment.isoformat()


def _wait_until_all_wait(host: DurableHost, instances: int, *, patience: float) -> None:
    """Raises BenchError when they are not all in their timers before the first is due."""
    gives_up_at = time.monotonic() + patience
    while _timers(host.hub_path) < instances:
        if time.monotonic() > gives_up_at:
            raise BenchError("the instances were not all in their timers before the first was due")
        time.sleep(0.05)


def _timers(hub: Path) -> int:
    with closing(sqlite3.connect(f"file:{hub}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT COUNT(*) FROM timers").fetchone()[0])


def _wait_until_ended(host: DurableHost, instances: int) -> None:
    gives_up_at = time.monotonic() + 120
    while host.count(COMPLETED) < instances:
        if time.monotonic() > gives_up_at:
            raise BenchError("the instances that were due did not end")
        time.sleep(0.2)


def lateness(hub: Path, *, since: datetime) -> list[float]:
    """Of each instance that was due since then: the moment of the step that it made, less the timer's."""
    events = "SELECT instance_id, event FROM history WHERE event LIKE ?"
    with closing(sqlite3.connect(f"file:{hub}?mode=ro", uri=True)) as database:
        fired, ended = (
            dict(database.execute(events, (f'{{"EventType":{kind},%',)))
            for kind in (TIMER_FIRED, EXECUTION_COMPLETED)
        )
    pairs = [(json.loads(fired[name]), json.loads(ended[name])) for name in fired.keys() & ended.keys()]
    moments = [(_moment(timer["FireAt"]), _moment(end["Timestamp"])) for timer, end in pairs]
    return [(end - due).total_seconds() for due, end in moments if due >= since]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text[:26] + "+00:00")
