"""Nothing is lost, and nothing is doubled of which the ledger does not know, whatever fails and dies."""

from pathlib import Path

import pytest

from agent.delivery_record import WhenAmbiguous
from local.azurite import Azurite
from tests.faults.fault_run import Plan, run
from tests.faults.verdict import broken_promises, summary


@pytest.mark.parametrize("when_ambiguous", ["resend", "hold"])
async def test_every_delivery_ends_and_is_told_truly_through_faults_and_kills(
    own_azurite: Azurite, tmp_path: Path, when_ambiguous: WhenAmbiguous
) -> None:
    plan = Plan(deliveries=150, kills=4, seed=7, when_ambiguous=when_ambiguous)
    outcome = await run(plan, azurite=own_azurite, place=tmp_path)
    told = summary(outcome.records, outcome.arrivals)
    assert (
        broken_promises(
            outcome.delivery_ids, outcome.records, outcome.arrivals, when_ambiguous=when_ambiguous
        )
        == []
    ), told
    assert outcome.unread == 0
    assert {"sent", "gone", "failed"} <= {record.state for record in outcome.records.values()}, told
