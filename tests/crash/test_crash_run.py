"""A crash run in small: nothing is lost, stuck or wrong while devhost is killed again and again."""

from pathlib import Path

from local.azurite import Azurite
from tests.crash.crash_run import run
from tests.crash.plan import KINDS, Plan
from tests.crash.summary import summary
from tests.crash.verdict import broken_promises


async def test_every_instance_ends_as_planned_through_kills_at_any_moment(
    own_azurite: Azurite, tmp_path: Path
) -> None:
    plan = Plan(instances=22, kills=8, seed=7, longest_pause=1.0, drain_seconds=60.0)
    evidence = await run(plan, azurite=own_azurite, place=tmp_path)
    assert broken_promises(evidence) == [], summary(evidence)
    assert {planned.kind for planned in evidence.started} == set(KINDS)
