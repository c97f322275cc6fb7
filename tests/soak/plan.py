"""What a soak run is to do, drawn from its seed."""

import random
from dataclasses import dataclass, replace
from typing import Literal

Where = Literal["personal", "group", "copilot"]
WantedJob = Literal["never", "at once", "under way", "after it", "after the job"]
KINDS = ("plain", "waiting", "streamed", "patient", "composed")
PLACES: tuple[Where, ...] = ("personal", "personal", "personal", "group", "copilot")
REDELIVERIES: tuple[WantedJob, ...] = ("never", "never", "at once", "under way", "after it", "after the job")
USERS, GROUPS, TENANTS = 120, 30, 4
AT_ONCE = 0.1  # of the jobs have nothing to do
BUTTONS = 0.2  # of the turns are pressed Action.Executes
LONG = (110.0, 140.0)  # seconds, longer than a stream may be open


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``turns`` begin ``apart`` seconds after each other, with handlers of up to ``longest`` seconds, while
    the hosts are killed ``kills`` times. ``kinds``: the kinds of job. ``long_ones``: how many turns of the
    first half have a stream that is to be closed before its job has ended.
    """

    turns: int
    kills: int
    seed: int
    longest: float = 60.0
    apart: float = 1.05
    kinds: tuple[str, ...] = KINDS
    long_ones: int = 0

    @property
    def lasts(self) -> float:
        """Seconds until the last turn begins."""
        return self.turns * self.apart


@dataclass(frozen=True, kw_only=True)
class PlannedTurn:
    """One turn: when it begins, what it asks for and where, and whether it is delivered again.

    ``again_in``: seconds, from the moment that ``again`` names. ``first_to``: the host that gets it first.
    """

    number: int
    at: float
    kind: str
    seconds: float
    where: Where
    user: int
    is_button: bool
    again: WantedJob
    again_in: float
    first_to: int

    @property
    def request(self) -> str:
        return f"soak {self.kind} {self.seconds:g} n{self.number}"


@dataclass(frozen=True, kw_only=True)
class PlannedKill:
    """When which host is killed; ``in_a_turn``: as soon as it has one, and a moment later."""

    at: float
    host: int
    in_a_turn: bool
    moment: float


def turns_of(plan: Plan) -> list[PlannedTurn]:
    dice = random.Random(plan.seed)  # noqa: S311 - chance, not secrecy
    turns = [_turn(number, plan, dice) for number in range(plan.turns)]
    for number in dice.sample(range(plan.turns // 2), plan.long_ones):
        long_one = replace(turns[number], kind="patient", where="personal", is_button=False)
        turns[number] = replace(long_one, seconds=round(dice.uniform(*LONG), 1))
    return turns


def _turn(number: int, plan: Plan, dice: random.Random) -> PlannedTurn:
    seconds = 0.0 if dice.random() < AT_ONCE else round(plan.longest * dice.random() ** 2, 1)
    where = dice.choice(PLACES)
    return PlannedTurn(
        number=number,
        at=number * plan.apart + dice.uniform(0, plan.apart),
        kind=dice.choice(plan.kinds),
        seconds=seconds,
        where=where,
        user=dice.randrange(GROUPS if where == "group" else USERS),
        is_button=dice.random() < BUTTONS,
        again=dice.choice(REDELIVERIES),
        again_in=dice.uniform(0.05, 3.0),
        first_to=dice.randrange(2),
    )


def kills_of(plan: Plan) -> list[PlannedKill]:
    dice = random.Random(plan.seed + 1_000_000)  # noqa: S311 - chance, not secrecy
    moments = sorted(dice.uniform(0.02, 0.98) * plan.lasts for _ in range(plan.kills))
    return [
        PlannedKill(
            at=moment, host=dice.randrange(2), in_a_turn=dice.random() < 0.5, moment=dice.uniform(0, 0.3)
        )
        for moment in moments
    ]
