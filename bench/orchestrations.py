"""Orchestrations a second: devhost, its task hub on disk, beside durabletask with everything in memory."""

import json
import logging
import random
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.durable_host import COMPLETED, running_host
from bench.figures import markdown, ratios, spread
from bench.options import Options
from bench.programs import PEERS_PYTHON, ROOT, START_SECONDS, BenchError, cpu_seconds, processors, started_on
from local.ports import answers, free_ports
from local.processes import ChildProcess

log = logging.getLogger(__name__)
PEER_SCRIPT = ROOT / "bench" / "apps" / "peer_durabletask.py"
DEVHOST, DURABLETASK = "devhost, SQLite", "durabletask, in memory"


class Work(msgspec.Struct, frozen=True):
    """So many instances of one orchestrator, each of so many activities."""

    title: str
    orchestrator: str
    instances: int
    activities: int


WORK = (
    Work("chain of 3", "chain", 500, 3),
    Work("fan-out of 100", "fan_out", 20, 100),
)


class Run(msgspec.Struct, frozen=True):
    """One program on one kind of work in one round."""

    work: str
    program: str
    round: int
    instances_a_second: float
    activities_a_second: float
    cpu_ms: float  # of the program's process, an instance


class Orchestrations(msgspec.Struct, frozen=True, kw_only=True):
    """All runs, and the table of them."""

    runs: Sequence[Run]
    title: str = "Orchestrations: from the first start to the last end"

    def table(self) -> str:
        rows: list[list[object]] = []
        for work in dict.fromkeys(run.work for run in self.runs):
            peer = self._by_round(work, DURABLETASK)
            for program in (DURABLETASK, DEVHOST):
                runs = [run for run in self.runs if (run.work, run.program) == (work, program)]
                rows.append(
                    [
                        work,
                        program,
                        spread([run.instances_a_second for run in runs]),
                        spread([run.activities_a_second for run in runs]),
                        spread([run.cpu_ms for run in runs]),
                        spread(ratios(self._by_round(work, program), peer)),
                    ]
                )
        columns = ["work", "program", "orchestrations/s", "activities/s", "CPU ms each", "x durabletask"]
        return markdown(columns, rows)

    def _by_round(self, work: str, program: str) -> dict[int, float]:
        return {
            run.round: run.instances_a_second
            for run in self.runs
            if (run.work, run.program) == (work, program)
        }


Measure = Callable[[Work, Path], tuple[float, float]]  # seconds in all, CPU seconds


def orchestrations(options: Options) -> Orchestrations:
    programs: Mapping[str, Measure] = {DEVHOST: _on_devhost, DURABLETASK: _on_durabletask}
    runs: list[Run] = []
    for number in range(options.rounds_or(5)):
        for work in WORK:
            sized = msgspec.structs.replace(work, instances=5) if options.is_quick else work
            for program in random.sample(list(programs), len(programs)):
                place = options.logs / f"{program[:7]}-{work.orchestrator}-{number}"
                seconds, cpu = programs[program](sized, place)
                rate = sized.instances / seconds
                cpu_ms = cpu * 1000 / sized.instances
                runs.append(Run(work.title, program, number, rate, rate * work.activities, cpu_ms))
        log.info("round %s done", number + 1)
    return Orchestrations(runs=runs)


def _on_devhost(work: Work, place: Path) -> tuple[float, float]:
    with running_host(place, place.with_suffix(".log")) as host:
        host.wait_until_it_serves()
        host.start(work.orchestrator, [1])  # what is imported and compiled at the first one is not measured
        host.wait_until_none_runs()
        before, cpu_before = time.perf_counter(), host.cpu_seconds
        host.start(work.orchestrator, [1] * work.instances)
        host.wait_until_none_runs()
        seconds, cpu = time.perf_counter() - before, host.cpu_seconds - cpu_before
        _require(work, DEVHOST, host.count(COMPLETED) - 1)
        return seconds, cpu


def _on_durabletask(work: Work, place: Path) -> tuple[float, float]:
    [port] = free_ports(1)
    with started_on(processors()[0]):
        server = ChildProcess.start(
            DURABLETASK,
            [PEERS_PYTHON, PEER_SCRIPT, "serve", str(port)],
            log_path=place.with_suffix(".log"),
            directory=ROOT,
            environment={},
        )
    try:
        server.wait_until(lambda: answers(port), seconds=START_SECONDS)
        _driven(port, work, instances=1)
        cpu_before = cpu_seconds(server.pid)
        seconds = _driven(port, work, instances=work.instances)
        return seconds, cpu_seconds(server.pid) - cpu_before
    finally:
        server.kill()  # it has no way to be asked


def _driven(port: int, work: Work, *, instances: int) -> float:
    with started_on(processors()[1]):
        done = subprocess.run(
            [PEERS_PYTHON, PEER_SCRIPT, "drive", str(port), work.orchestrator, str(instances)],
            capture_output=True,
            check=False,
            timeout=600,
        )
    if done.returncode:
        raise BenchError(f"durabletask did not end:\n{done.stderr.decode()}")
    told = json.loads(done.stdout)
    _require(msgspec.structs.replace(work, instances=instances), DURABLETASK, told["completed"])
    return float(told["seconds"])


def _require(work: Work, program: str, completed: int) -> None:
    if completed != work.instances:
        raise BenchError(f"{program}: {completed} of {work.instances} instances completed")
