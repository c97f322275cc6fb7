"""B5.4 over orchestrators that nobody wrote: however a run is cut and ordered, it comes to the same.

`GROWN_EXAMPLES=2000 python -m pytest tests/devhost/test_b5_4_properties.py` tries more of them.
"""

import asyncio
import json
import os
import random
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from devhost.durable.history import EventType, Status
from tests.devhost.grown_programs import TRIES, Meaning, Program, app_of_programs, kinds_of, programs
from tests.devhost.orchestrations import SDK_WARNINGS
from tests.devhost.simulation import Simulation, durable_functions

pytestmark = SDK_WARNINGS
EXAMPLES = int(os.environ.get("GROWN_EXAMPLES", "30"))
SCHEDULED = (
    EventType.TASK_SCHEDULED,
    EventType.TIMER_CREATED,
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED,
    EventType.EVENT_SENT,
)
MOST_STEPS = 3000  # some hundreds is what the largest programs take
numbers = count()
Trace = dict[str, list[tuple[int, int, Any]]]


class GrownRun:
    """One run of a program, with its events sent at moments that the dice choose."""

    def __init__(self, place: Path, program: Program, more: int, seed: int, **options: Any) -> None:
        TRIES.clear()
        self._path = path = place / f"{next(numbers)}.sqlite"
        self._dice = random.Random(seed)  # noqa: S311 (a test's own)
        self._simulation = Simulation(path, durable_functions(app_of_programs()), **options)
        self._simulation.start("grown", {"program": program, "round": 0, "more": more, "results": []})
        self._steps = 0
        self._wishes = list(Meaning(program, more).wishes)

    async def outcome(self) -> tuple[Any, dict[str, Any], Trace]:
        """Status, result and custom status; totals of the counters; what each instance's history records."""
        simulation = self._simulation
        try:
            await simulation.run(between=self._send_some)
            while self._send(all_of_them=True):
                await simulation.run(between=self._send_some)
            instance = simulation.instance()
            ended = (instance.status, json.loads(instance.output or "null"), instance.custom_status)
            totals = {
                entity.entity_id: json.loads(entity.state or "") for entity in simulation.hub.entities()
            }
            traces = {one.instance_id: self._trace(one.instance_id) for one in simulation.hub.instances()}
            self._leaves_nothing()
            return ended, totals, traces
        finally:
            simulation.hub.close()
            self._path.unlink()

    def _send_some(self) -> None:
        self._steps += 1
        assert self._steps < MOST_STEPS, self._simulation.kinds()
        if self._dice.random() < 0.4:
            self._send(all_of_them=False)

    def _send(self, *, all_of_them: bool) -> bool:
        """Send events whose instance is in the round that waits for them; whether there were any."""
        ready = [wish for wish in self._wishes if self._round(wish.instance_id) == wish.round]
        chosen = ready if all_of_them else ready and [self._dice.choice(ready)]
        for wish in chosen:
            self._wishes.remove(wish)
            self._simulation.raise_event(wish.name, wish.name, instance_id=wish.instance_id)
        return bool(chosen)

    def _round(self, instance_id: str) -> int | None:
        instance = self._simulation.hub.instance(instance_id)
        if instance is None or instance.status.is_final:
            return None
        return int(json.loads(json.loads(instance.input_text or ""))["round"])

    def _trace(self, instance_id: str) -> list[tuple[int, int, Any]]:
        """Kinds, ids and names; but an entity answers under an id that is made of the execution's."""
        return [
            (one["EventType"], one["EventId"], None if "result" in str(one.get("Input")) else one.get("Name"))
            for one in self._simulation.history(instance_id)
        ]

    def _leaves_nothing(self) -> None:
        hub = self._simulation.hub
        left = hub.waiting_instances(), hub.pending_activities(), hub.next_timer(), hub.waiting_entities()
        assert left == ([], [], None, [])


@pytest.fixture(scope="module")
def quick_place() -> Iterator[Path]:
    """A directory in memory, where there is one: each restart would wait for the disk."""
    memory = Path("/dev/shm")  # noqa: S108 (only the directory of a temporary one)
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Path(place)


def scheduled(traces: Trace, *, ids: bool) -> dict[str, list[tuple[int, int, Any]]]:
    """What each instance asked for, in the order of its ids, or of kind where order may choose the ids."""
    return {
        instance_id: sorted(
            (kind, task_id if ids else 0, str(name) if kind != EventType.EVENT_SENT else None)
            for kind, task_id, name in trace
            if kind in SCHEDULED
        )
        for instance_id, trace in traces.items()
    }


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(programs, st.integers(0, 1), st.integers(0, 2**16))
@example([["all", [["retry", 2], ["retry", 1], ["event"]]], ["call", 1]], 1, 0)
@example(
    [["child", [["event"], ["race", 2, True]], 1], ["all", [["fails"], ["child", [["timer", 4]], 0]]]], 0, 0
)
def test_a_grown_orchestrator_comes_to_the_same_however_it_is_run(
    quick_place: Path, program: Program, more: int, seed: int
) -> None:
    def run(**options: Any) -> tuple[Any, dict[str, Any], Trace]:
        return asyncio.run(GrownRun(quick_place, program, more, seed, **options).outcome())

    meaning, kinds = Meaning(program, more), set(kinds_of(program))
    for kind in kinds:
        event(kind)
    ended, totals, traces = run()
    assert ended[:2] == (Status.COMPLETED, meaning.results)
    assert totals == {f"@counter@{key}": total for key, total in meaning.totals.items()}
    # A restart after every step is not to be seen at all.
    assert run(restarts=True) == (ended, totals, traces)
    # Another order of work changes no result; with retries in a compound it may choose the ids.
    shuffled = run(chance=random.Random(seed))  # noqa: S311 (a test's own)
    assert shuffled[:2] == (ended, totals)
    ids_are_fixed = not {"all", "retry"} <= kinds
    assert scheduled(shuffled[2], ids=ids_are_fixed) == scheduled(traces, ids=ids_are_fixed)
    # Nor do kills; a try whose result was lost is counted by the activity and not by the history.
    killed = run(chance=random.Random(seed), restarts=True)  # noqa: S311 (a test's own)
    assert killed[:2] == (ended, totals)
    if "retry" not in kinds:
        assert scheduled(killed[2], ids=True) == scheduled(traces, ids=True)
