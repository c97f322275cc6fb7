"""Requests a second and CPU a request: a trivial async function on devhost, beside the same handler bare."""

import asyncio
import logging
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.durable_host import running_host
from bench.figures import markdown, ratios, spread
from bench.load import closed_loop
from bench.options import Options
from bench.programs import ROOT, START_SECONDS, BenchError, cpu_seconds, processors, started_on
from local.ports import answers, free_ports
from local.processes import ChildProcess

log = logging.getLogger(__name__)
BARE_SCRIPT = ROOT / "bench" / "apps" / "bare_hello.py"
DEVHOST, BARE = "devhost", "bare aiohttp"
SECONDS, WARM_SECONDS = 1.5, 0.5
CONCURRENCIES = (1, 16)


class Target(msgspec.Struct, frozen=True):
    """A program that serves."""

    port: int
    pid: int


class Run(msgspec.Struct, frozen=True):
    """One program with so many requests under way in one round."""

    program: str
    concurrency: int
    round: int
    requests_a_second: float
    cpu_us: float  # of the program's process, all threads, a request


class HostHttp(msgspec.Struct, frozen=True, kw_only=True):
    """All runs, and the table of them."""

    runs: Sequence[Run]
    title: str = "HTTP: a trivial async function on devhost, beside the same handler on bare aiohttp"

    def table(self) -> str:
        rows: list[list[object]] = []
        for concurrency in dict.fromkeys(run.concurrency for run in self.runs):
            for program in (BARE, DEVHOST):
                runs = [r for r in self.runs if (r.program, r.concurrency) == (program, concurrency)]
                rows.append(
                    [
                        concurrency,
                        program,
                        spread([run.requests_a_second for run in runs]),
                        spread([run.cpu_us for run in runs]),
                        spread(ratios(self._rates(BARE, concurrency), self._rates(program, concurrency))),
                    ]
                )
        columns = ["under way", "program", "requests/s", "CPU µs a request", "bare's CPU / its CPU"]
        return markdown(columns, rows)

    def _rates(self, program: str, concurrency: int) -> Mapping[int, float]:
        return {
            run.round: run.cpu_us
            for run in self.runs
            if (run.program, run.concurrency) == (program, concurrency)
        }


def host_http(options: Options) -> HostHttp:
    """Both programs serve all the time, and are asked by turns."""
    runs: list[Run] = []
    place = options.logs / "host-http"
    with running_host(place, place.with_suffix(".log")) as host, _running_bare(options.logs) as bare:
        host.wait_until_it_serves()
        targets = {DEVHOST: Target(host.port, host.process.pid), BARE: bare}
        for target in targets.values():
            _measured(target, concurrency=16, seconds=WARM_SECONDS)
        for number in range(options.rounds_or(9)):
            for concurrency in options.concurrencies_or(CONCURRENCIES):
                for program in random.sample(list(targets), len(targets)):
                    seconds = options.seconds(SECONDS)
                    rate, cpu = _measured(targets[program], concurrency=concurrency, seconds=seconds)
                    runs.append(Run(program, concurrency, number, rate, cpu * 1_000_000))
            log.info("round %s done", number + 1)
    return HostHttp(runs=runs)


def _measured(target: Target, *, concurrency: int, seconds: float) -> tuple[float, float]:
    """Requests a second, and CPU seconds a request. Raises BenchError when one had no success."""
    request = f"GET /api/hello HTTP/1.1\r\nHost: localhost:{target.port}\r\nAccept: */*\r\n\r\n".encode()
    before = cpu_seconds(target.pid)
    load = asyncio.run(closed_loop(target.port, lambda: request, concurrency=concurrency, seconds=seconds))
    spent = cpu_seconds(target.pid) - before
    if load.failures:
        raise BenchError(f"{load.failures} of {len(load.latencies)} requests failed")
    return load.rate, spent / len(load.latencies)


@contextmanager
def _running_bare(logs: Path) -> Iterator[Target]:
    [port] = free_ports(1)
    with started_on(processors()[0]):
        server = ChildProcess.start(
            BARE,
            [sys.executable, BARE_SCRIPT, str(port)],
            log_path=logs / "bare.log",
            directory=ROOT,
            environment={},
        )
    try:
        server.wait_until(lambda: answers(port), seconds=START_SECONDS)
        yield Target(port, server.pid)
    finally:
        server.kill()  # it has no way to be asked
