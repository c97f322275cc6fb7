"""Death between any two statements of the store: reopened, it goes on to the same end."""

import json
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.history import Status
from tests.devhost.simulation import Simulation, durable_functions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]


class Killed(BaseException):
    """The process is gone; nothing in it may catch this and go on."""


class MortalConnection:
    """A connection whose process dies before the n-th statement that writes; after that none gets through."""

    def __init__(self, connection: Any, statements: int) -> None:
        self._connection, self.left = connection, statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> Any:
        self._count(sql)
        return self._connection.execute(sql, *values)

    def executemany(self, sql: str, rows: Any) -> Any:
        for row in rows:  # each row is a statement of its own to the file
            self._count(sql)
            self._connection.execute(sql, row)

    def _count(self, sql: str) -> None:
        if not sql.lstrip().startswith("SELECT"):
            self.left -= 1
        if self.left < 0:
            raise Killed


def representative() -> df.DFApp:
    app = df.DFApp()
    tries = [0]

    @app.orchestration_trigger(context_name="context")  # type: ignore[untyped-decorator]
    def representative(context: Any) -> Generator[Any, Any, Any]:
        seen = context.get_input()
        options = df.RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=9)
        seen.append((yield context.call_activity_with_retry("flaky", options, len(seen))))
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=5))
        limit = context.create_timer(context.current_utc_datetime + timedelta(days=1))
        wait = context.wait_for_external_event("go")
        winner = yield context.task_any([wait, limit])
        limit.cancel()
        seen.append(winner == wait)
        if len(seen) < 4:
            context.continue_as_new(seen)
            return None
        return seen

    @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
    def flaky(number: int) -> int:
        tries[0] += 1
        if tries[0] % 2:
            raise ValueError(f"try {tries[0]}")
        return number

    return app


class Client:
    """Asks for one instance, and for an event in each round, each until it was taken: a careful caller."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation, self._events = simulation, 0

    def ask(self) -> None:
        if self._simulation.hub.instance("i") is None:
            self._simulation.start("representative", [])
        rounds = len(json.loads(json.loads(self._simulation.instance().input_text or ""))) // 2
        if self._events == rounds:
            self._simulation.raise_event("go", rounds)
            self._events += 1


async def run_and_die(path: Path, statements: int) -> tuple[Simulation, bool]:
    simulation = Simulation(path, durable_functions(representative()))
    mortal = MortalConnection(simulation.hub._db, statements)
    simulation.hub._db = mortal
    client = Client(simulation)
    has_died = False
    try:
        await simulation.run(between=client.ask)
    except Killed:
        has_died = True
        simulation.restart()
        await simulation.run(between=client.ask)
    return simulation, has_died


async def test_a_death_before_any_statement_of_the_store_changes_no_result(tmp_path: Path) -> None:
    statements, has_died = 0, True
    while has_died:
        simulation, has_died = await run_and_die(tmp_path / f"{statements}.sqlite", statements)
        instance = simulation.instance()
        assert (statements, instance.status) == (statements, Status.COMPLETED)
        assert json.loads(instance.output or "") == [0, True, 2, True]
        assert simulation.hub.waiting_instances() == []
        assert simulation.hub.pending_activities() == []
        assert simulation.hub.next_timer() is None
        simulation.hub.close()
        statements += 1
    assert statements > 100
