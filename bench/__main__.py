"""The command line: `python -m bench NAME`."""

import argparse
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench.acknowledgements import acknowledgements
from bench.cold_start import first_turns, imports
from bench.comparison import Comparison
from bench.follow_up_cost import FollowUpCost, follow_up_cost
from bench.follow_ups import follow_ups
from bench.host_http import HostHttp, host_http
from bench.inbound import bursts, inbound
from bench.options import Options
from bench.orchestrations import Orchestrations, orchestrations
from bench.outbound import outbound
from bench.prices import LISTED, price_of
from bench.programs import PEERS_PYTHON, BenchError, processors
from bench.waiting_instances import WaitingInstances, waiting_instances
from local.processes import StackError

log = logging.getLogger("bench")

Measured = Comparison | FollowUpCost | HostHttp | Orchestrations | WaitingInstances

BENCHES: dict[str, Sequence[Callable[[Options], Measured]]] = {
    "inbound": [inbound],
    "burst": [bursts],
    "outbound": [outbound],
    "cold_start": [imports, first_turns],
    "acknowledgement": [acknowledgements],
    "follow_ups": [follow_ups],
    "follow_up_cost": [follow_up_cost],
    "host_http": [host_http],
    "orchestrations": [orchestrations],
    "waiting_instances": [waiting_instances],
}
WITHOUT_PEERS = {"host_http", "waiting_instances"}  # those that ask no other SDK


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "names", nargs="+", choices=[*BENCHES, "all"], metavar="NAME", help=", ".join(BENCHES)
    )
    parser.add_argument("--quick", action="store_true", help="one short round: whether it runs, not how fast")
    parser.add_argument("--rounds", type=int, help="how many rounds (each bench has its own default)")
    parser.add_argument("--only", nargs="+", default=[], help="programs whose names contain one of these")
    parser.add_argument("--unsigned", action="store_true", help="inbound and burst: no side has a token")
    parser.add_argument(
        "--concurrency", nargs="+", type=int, default=[], help="how many are under way (instead of the usual)"
    )
    parser.add_argument(
        "--price",
        nargs="+",
        type=price_of,
        default=[],
        metavar="NAME=DOLLARS",
        help="for follow_up_cost: of 10,000 operations (table, queue) or of a million executions (execution)",
    )
    parser.add_argument("--to", type=Path, help="write NAME.md and NAME.json into this directory, too")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    arguments = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        names = list(BENCHES) if "all" in arguments.names else arguments.names
        if not PEERS_PYTHON.exists() and not WITHOUT_PEERS.issuperset(names):
            raise BenchError("the peers are not installed: `make bench` does it")
        os.sched_setaffinity(0, {processors()[1]})
        for name in names:
            _run(name, arguments)
    except (BenchError, StackError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _run(name: str, arguments: argparse.Namespace) -> None:
    logs = Path(tempfile.mkdtemp(prefix=f"afterword-bench-{name}-"))
    log.info("%s; the programs log to %s until it is done", name, logs)
    options = Options(
        logs=logs,
        is_quick=arguments.quick,
        is_unsigned=arguments.unsigned,
        concurrencies=arguments.concurrency,
        rounds=arguments.rounds,
        only=arguments.only,
        prices={**LISTED, **dict(arguments.price)},
    )
    started = time.monotonic()
    comparisons = [measure(options) for measure in BENCHES[name]]
    text = "\n".join(f"## {comparison.title}\n\n{comparison.table()}\n" for comparison in comparisons)
    print(f"\n{text}\n{name}: {time.monotonic() - started:.0f} s\n", flush=True)
    shutil.rmtree(logs)  # they are kept where something went wrong
    if arguments.to:
        arguments.to.mkdir(parents=True, exist_ok=True)
        (arguments.to / f"{name}.md").write_text(text, "utf-8")
        measured = {
            "machine": _machine(),
            "is_quick": options.is_quick,
            "comparisons": msgspec.to_builtins(comparisons),
        }
        (arguments.to / f"{name}.json").write_text(json.dumps(measured, indent=1) + "\n", "utf-8")


def _machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processors": os.cpu_count(),
        "load average": os.getloadavg(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
