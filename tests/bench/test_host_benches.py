"""The tables of the benches of devhost, and how lateness is read from a task hub."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bench.orchestrations import DEVHOST, DURABLETASK, Orchestrations, Run
from bench.waiting_instances import EXECUTION_COMPLETED, TIMER_FIRED, lateness

DUE = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_a_rate_is_compared_with_that_of_the_peer_in_the_same_round() -> None:
    rates = {(DEVHOST, 0): 100.0, (DEVHOST, 1): 300.0, (DURABLETASK, 0): 50.0, (DURABLETASK, 1): 100.0}
    runs = [
        Run("chain of 3", program, number, rate, 3 * rate, 1.0) for (program, number), rate in rates.items()
    ]
    rows = Orchestrations(runs=runs).table().splitlines()[2:]
    assert [cell.strip() for cell in rows[1].strip("|").split("|")] == [
        "chain of 3",
        DEVHOST,
        "200 [100..300]",
        "600 [300..900]",
        "1.00",
        "2.50 [2.00..3.00]",
    ]


def test_an_instance_is_as_late_as_the_step_behind_its_timer(tmp_path: Path) -> None:
    hub = tmp_path / "hub.sqlite"
    histories = {
        "late": ("2026-01-01T12:00:00.5000000Z", "2026-01-01T12:00:00.7500000Z"),
        "before": ("2026-01-01T11:59:59.0000000Z", "2026-01-01T12:00:05.0000000Z"),
        "waiting": ("2026-01-01T12:00:00.5000000Z", None),
    }
    with closing(sqlite3.connect(hub)) as database:
        database.execute("CREATE TABLE history (instance_id TEXT, event TEXT)")
        for name, (fire_at, ended) in histories.items():
            events = [{"EventType": TIMER_FIRED, "FireAt": fire_at}]
            events += [{"EventType": EXECUTION_COMPLETED, "Timestamp": ended}] if ended else []
            texts = [(name, json.dumps(event, separators=(",", ":"))) for event in events]
            database.executemany("INSERT INTO history VALUES (?,?)", texts)
        database.commit()
    assert lateness(hub, since=DUE) == [0.25]
