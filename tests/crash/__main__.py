"""The crash run by hand: ``python -m tests.crash --instances 200 --kills 200 --seed 1``."""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from local.azurite import start_azurite, wait_for_azurite
from local.ports import Ports
from tests.crash.crash_run import run
from tests.crash.evidence import Evidence
from tests.crash.plan import Plan
from tests.crash.summary import summary
from tests.crash.verdict import broken_promises


def main() -> int:
    """Print what was seen, and each promise that was broken; 1 if one was."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument(
        "--instances",
        type=int,
        default=200,
        help="how many are in flight at a time; new ones come as they end",
    )
    parser.add_argument("--kills", type=int, default=200, help="how many have to fall on unfinished work")
    parser.add_argument("--seed", type=int, default=1, help="what is started, and when it is killed")
    parser.add_argument("--longest-pause", type=float, default=8.0, help="seconds between two steps, at most")
    parser.add_argument("--keep", type=Path, help="a directory for the host's files and log")
    given = parser.parse_args()
    plan = Plan(
        instances=given.instances, kills=given.kills, seed=given.seed, longest_pause=given.longest_pause
    )
    began = time.monotonic()
    with ExitStack() as stack:
        place = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        evidence = _run(plan, place.resolve())
    print(f"{plan.instances} in flight, seed {plan.seed}: {time.monotonic() - began:.0f} s")
    print(summary(evidence))
    broken = broken_promises(evidence)
    for promise in broken:
        print(f"BROKEN {promise}")
    if not broken:
        print("Nothing broken.")
    return 1 if broken else 0


def _run(plan: Plan, place: Path) -> Evidence:
    azurite = start_azurite(Ports.free(), data=place / "azurite", logs=place)
    try:
        wait_for_azurite(azurite)
        return asyncio.run(run(plan, azurite=azurite, place=place))
    finally:
        azurite.process.stop()


if __name__ == "__main__":
    sys.exit(main())
