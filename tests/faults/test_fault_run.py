"""Nothing is lost, and nothing is doubled of which the ledger does not know, whatever fails and dies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.delivery_record import WhenAmbiguous
from local.azurite import Azurite, start_azurite, wait_for_azurite
from local.ports import Ports
from tests.faults.fault_run import Plan, run
from tests.faults.verdict import broken_promises, summary


@pytest.fixture
def own_azurite(tmp_path: Path) -> Iterator[Azurite]:
    """A storage of the run's own: the queue's name is the app's, and so is the ledger's."""
    azurite = start_azurite(Ports.free(), data=tmp_path / "azurite", logs=tmp_path)
    try:
        wait_for_azurite(azurite)
        yield azurite
    finally:
        azurite.process.stop()


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
