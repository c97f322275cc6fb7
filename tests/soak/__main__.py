"""The soak run by hand: ``python -m tests.soak --turns 500 --kills 30 --seed 1``."""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from local.azurite import start_azurite, wait_for_azurite
from local.ports import Ports
from tests.soak.plan import KINDS, Plan
from tests.soak.record import SoakRecord
from tests.soak.soak_run import run
from tests.soak.summary import summary
from tests.soak.verdict import broken_promises


def main() -> int:
    """Print what was seen, and each promise that was broken; 1 if one was."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=60.0, help="seconds of the longest handler")
    parser.add_argument("--apart", type=float, default=1.05, help="seconds between two turns")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="the kinds of job")
    parser.add_argument("--long-ones", type=int, default=12, help="jobs longer than a stream may be open")
    parser.add_argument("--keep", type=Path, help="a directory for the logs of the hosts")
    given = parser.parse_args()
    plan = Plan(
        turns=given.turns,
        kills=given.kills,
        seed=given.seed,
        longest=given.longest,
        apart=given.apart,
        kinds=tuple(given.kinds),
        long_ones=given.long_ones,
    )
    started = time.monotonic()
    with ExitStack() as stack:
        place = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        record = _run(plan, place.resolve())
    print(f"{plan.turns} turns, {plan.kills} kills, seed {plan.seed}: {time.monotonic() - started:.0f} s\n")
    print(summary(record))
    broken = broken_promises(record)
    for promise in broken:
        print(f"BROKEN {promise}")
    return 1 if broken else 0


def _run(plan: Plan, place: Path) -> SoakRecord:
    azurite = start_azurite(Ports.free(), data=place / "azurite", logs=place)
    try:
        wait_for_azurite(azurite)
        return asyncio.run(run(plan, azurite=azurite, place=place))
    finally:
        azurite.process.stop()


if __name__ == "__main__":
    sys.exit(main())
