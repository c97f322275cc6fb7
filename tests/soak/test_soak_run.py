"""A soak run in small: no promise is broken, while the hosts are killed and turns come again."""

from pathlib import Path

from local.azurite import Azurite
from tests.soak.plan import Plan
from tests.soak.soak_run import run
from tests.soak.summary import summary
from tests.soak.verdict import broken_promises


async def test_each_turn_is_acknowledged_and_followed_up_once_through_redeliveries_and_kills(
    own_azurite: Azurite, tmp_path: Path
) -> None:
    plan = Plan(turns=40, kills=3, seed=7, longest=15.0, apart=0.7)
    record = await run(plan, azurite=own_azurite, place=tmp_path)
    assert broken_promises(record) == [], summary(record)
    assert len(record.kills) == plan.kills
    assert sum(len(turn.deliveries) for turn in record.turns) > plan.turns
