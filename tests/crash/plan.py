"""What a crash run is to do: its instances with what must come of each, drawn from a seed."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

SHARED_COUNTERS = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``instances`` are kept in flight until ``kills`` have fallen on running work.

    ``longest_pause``: seconds that an instance rests between two of its steps, at most.
    """

    instances: int
    kills: int
    seed: int
    longest_pause: float = 4.0
    drain_seconds: float = 180.0


@dataclass(frozen=True, kw_only=True)
class PlannedEvent:
    """An external event; ``delay``: seconds from the start of its instance, which may be before its wait."""

    name: str
    value: int
    delay: float


@dataclass(frozen=True, kw_only=True)
class PlannedInstance:
    """One root instance. ``notes``: how often each activity must have run at least.

    ``output``: what it returns; for one that fails, the beginning of its text.
    ``adds``: what it adds to each counter. ``children``: how many sub-orchestrations it has at the end.
    """

    instance_id: str
    kind: str
    given: dict[str, Any]
    output: Any
    notes: dict[str, int]
    status: str = "Completed"
    events: tuple[PlannedEvent, ...] = ()
    adds: dict[str, int] = field(default_factory=dict)
    children: int = 0

    @property
    def orchestrator(self) -> str:
        return "chain" if self.kind == "order" else self.kind


def planned(number: int, plan: Plan) -> PlannedInstance:
    """The instance with a number; the same for the same seed."""
    kind = KINDS[number % len(KINDS)]
    return _DRAWN[kind](_Draw(number, kind, plan))


class _Draw:
    """The dice of one instance, and what instances of all kinds are given."""

    def __init__(self, number: int, kind: str, plan: Plan) -> None:
        self.dice = dice = random.Random(f"{plan.seed}-{number}")  # noqa: S311 (chance, not secrecy)
        self.kind, self._plan = kind, plan
        self.instance_id = f"{kind.replace('_', '-')}-{number}"
        self.numbers = [dice.randint(1, 9) for _ in range(dice.randint(3, 5))]
        self._pause = round(dice.uniform(0.25, 1) * plan.longest_pause, 2)

    def instance(self, output: Any, notes: Iterable[str] = (), **more: Any) -> PlannedInstance:
        """``notes``: the instance's own activities; ``given``: what its kind is given beside the usual."""
        given = {"numbers": self.numbers, "pause": self._pause, **more.pop("given", {})}
        least = {f"{self.instance_id}/{key}": 1 for key in notes} | more.pop("least", {})
        return PlannedInstance(
            instance_id=self.instance_id, kind=self.kind, given=given, output=output, notes=least, **more
        )

    def indexes(self) -> Iterable[str]:
        return map(str, range(len(self.numbers)))

    def shared_counter(self) -> str:
        return f"shared-{self.dice.randrange(SHARED_COUNTERS)}"

    def events(self, count: int) -> tuple[PlannedEvent, ...]:
        """Each has a name of its own: two early events of one name confuse the SDK (durable-python#507)."""
        pause = self._plan.longest_pause
        return tuple(
            PlannedEvent(
                name=f"event{index}", value=self.dice.randint(1, 999), delay=self.dice.uniform(0, 4) * pause
            )
            for index in range(count)
        )


def _chain(draw: _Draw) -> PlannedInstance:
    return draw.instance(sum(draw.numbers), draw.indexes())


def _fan_out(draw: _Draw) -> PlannedInstance:
    sums = [[wave + n for n in draw.numbers] for wave in range(2)]
    return draw.instance(sums, [f"{wave}.{index}" for wave in range(2) for index in draw.indexes()])


def _timers(draw: _Draw) -> PlannedInstance:
    return draw.instance([True, True], ["work"])


def _waits_for_events(draw: _Draw) -> PlannedInstance:
    events = draw.events(len(draw.numbers))
    given = {"names": [one.name for one in events]}
    return draw.instance([one.value for one in events], draw.indexes(), events=events, given=given)


def _family(draw: _Draw) -> PlannedInstance:
    failures = draw.dice.randint(0, 2)
    return draw.instance(
        [[2 * n for n in draw.numbers], "at last"],
        given={"failures": failures},
        least={f"{draw.instance_id}-child/flaky": failures + 1},
        children=len(draw.numbers) + 1,
    )


def _counting(draw: _Draw) -> PlannedInstance:
    shared, total = draw.shared_counter(), sum(draw.numbers)
    adds = {draw.instance_id: total, shared: total}
    return draw.instance([*accumulate(draw.numbers), total], given={"shared": shared}, adds=adds)


def _rounds(draw: _Draw) -> PlannedInstance:
    shared, total = draw.shared_counter(), sum(draw.numbers)
    given = {"index": 0, "total": 0, "shared": shared}
    return draw.instance(total, draw.indexes(), given=given, adds={shared: total})


def _retries(draw: _Draw) -> PlannedInstance:
    failures = draw.dice.randint(1, 3)
    least = {f"{draw.instance_id}/flaky": failures + 1}
    return draw.instance("at last", given={"failures": failures}, least=least)


def _fails(draw: _Draw) -> PlannedInstance:
    text = "Orchestrator function 'fails' failed: Activity function 'breaks' failed:  ValueError: as planned"
    return draw.instance(text, ["breaks"], status="Failed")


def _mixture(draw: _Draw) -> PlannedInstance:
    number, (event,) = draw.numbers[0], draw.events(1)
    return draw.instance(
        [event.value, 2 * number, number, 1 + 2 * number],
        ["first", "last"],
        given={"names": [event.name]},
        events=(event,),
        adds={draw.instance_id: number},
        children=1,
    )


_DRAWN: dict[str, Callable[[_Draw], PlannedInstance]] = {
    "chain": _chain,
    "fan_out": _fan_out,
    "timers": _timers,
    "events": _waits_for_events,
    "family": _family,
    "counting": _counting,
    "rounds": _rounds,
    "retries": _retries,
    "fails": _fails,
    "mixture": _mixture,
    "order": _chain,  # by way of a queue message
}
KINDS = tuple(_DRAWN)
