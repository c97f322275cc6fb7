"""The fault run by hand: ``python -m tests.faults --deliveries 2000 --kills 50``."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from local.azurite import start_azurite, wait_for_azurite
from local.ports import Ports
from tests.faults.fault_run import Plan, run
from tests.faults.verdict import broken_promises, summary


def main() -> int:
    """Print how the deliveries ended; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--deliveries", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--when-ambiguous", choices=("resend", "hold"), default="resend")
    given = parser.parse_args()
    plan = Plan(
        deliveries=given.deliveries,
        kills=given.kills,
        seed=given.seed,
        when_ambiguous=given.when_ambiguous,
    )
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        azurite = start_azurite(Ports.free(), data=place / "azurite", logs=place)
        try:
            wait_for_azurite(azurite)
            outcome = asyncio.run(run(plan, azurite=azurite, place=place))
        finally:
            azurite.process.stop()
    broken = broken_promises(
        outcome.delivery_ids, outcome.records, outcome.arrivals, when_ambiguous=plan.when_ambiguous
    )
    print(
        f"{plan.deliveries} deliveries, {outcome.kills} kills, seed {plan.seed}, {plan.when_ambiguous}: "
        f"{outcome.seconds:.0f} s\n\n{summary(outcome.records, outcome.arrivals)}\n\n"
        f"The connector answered {outcome.statuses}; {outcome.unread} messages are left on the queues."
    )
    for promise in broken:
        print(f"BROKEN {promise}")
    return 1 if broken or outcome.unread else 0


if __name__ == "__main__":
    sys.exit(main())
