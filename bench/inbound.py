"""Turns that come in: the rate, latency and processor time of one message answered by one text."""

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.comparison import Comparison, Sample
from bench.field import INBOUND
from bench.figures import percentile
from bench.load import burst, closed_loop, first_answer
from bench.options import Options
from bench.programs import START_SECONDS, BenchError, RunningStub, Server, running, running_stub
from bench.storage import running_azurite
from bench.turns import turns

log = logging.getLogger(__name__)

DELAYS_MS = (0, 50)
CONCURRENCIES = (1, 16, 64)
BURSTS = (16, 64)
WARM_UP_SECONDS = 0.5
REPLY_SECONDS = 30.0


def inbound(options: Options) -> Comparison:
    samples: list[Sample] = []
    for number in range(options.rounds_or(3)):
        concurrencies = options.concurrencies_or(CONCURRENCIES)
        cases = [(delay, concurrency) for delay in DELAYS_MS for concurrency in concurrencies]
        random.shuffle(cases)
        with _all_running(options) as (stub, servers):
            for delay, concurrency in cases:
                for server in random.sample(servers, len(servers)):
                    figures = _measured(
                        server, stub, delay_ms=delay, concurrency=concurrency, seconds=options.seconds(2.5)
                    )
                    samples.append(
                        Sample((str(delay), str(concurrency)), server.program.name, number, figures)
                    )
        log.info("round %s done", number + 1)
    return Comparison(
        title=f"Inbound: a message comes in {_with_tokens(options)}, one text goes out, then 2xx",
        case_columns=("stub ms", "c"),
        figures=("req/s", "p50 ms", "p99 ms", "CPU ms/req", "conns/msg", "tokens/msg", "failed"),
        compared="req/s",
        more_is_better=True,
        samples=samples,
    )


def bursts(options: Options) -> Comparison:
    samples: list[Sample] = []
    with _all_running(options) as (stub, servers):
        for number in range(options.rounds_or(5)):
            for size in random.sample(BURSTS, len(BURSTS)):
                for server in random.sample(servers, len(servers)):
                    figures = _burst_measured(server, stub, size=size)
                    samples.append(Sample((str(size),), server.program.name, number, figures))
            log.info("round %s done", number + 1)
    return Comparison(
        title="Burst: K messages at once, the stub answers after 50 ms",
        case_columns=("K",),
        figures=("first reply s", "last reply s", "last turn answered s", "failed"),
        compared="last reply s",
        more_is_better=False,
        samples=samples,
    )


def _with_tokens(options: Options) -> str:
    return "unsigned (no side has a token)" if options.is_unsigned else "with a real token"


@contextmanager
def _all_running(options: Options) -> Iterator[tuple[RunningStub, Sequence[Server]]]:
    """The stub, and every program started and warm."""
    with ExitStack() as stack:
        stub = stack.enter_context(running_stub(options.logs))
        azurite = stack.enter_context(running_azurite(options.logs))
        programs = [program.on(azurite) for program in options.chosen(INBOUND)]
        if options.is_unsigned:
            programs = [program.unsigned for program in programs]
        servers = [
            stack.enter_context(running(program, stub, options.logs))
            for program in random.sample(programs, len(programs))
        ]
        for server in servers:
            wait_for_first_turn(server, stub)
            _load(server, stub, delay_ms=0, concurrency=4, seconds=WARM_UP_SECONDS)
        yield stub, servers


def wait_for_first_turn(server: Server, stub: RunningStub) -> None:
    """Wait until the program has answered its first turn. Raises BenchError with its last words."""
    token = stub.token() if server.program.is_signed else ""
    next_request = turns(port=server.port, service_url=stub.service_url, token=token)
    gives_up_at = time.monotonic() + START_SECONDS

    def gives_up() -> bool:
        return server.is_over or time.monotonic() > gives_up_at

    if not asyncio.run(first_answer(server.port, next_request, gives_up=gives_up)):
        raise BenchError(f"{server.program.name} answers no turn:\n{server.last_words}")


def _measured(
    server: Server, stub: RunningStub, *, delay_ms: int, concurrency: int, seconds: float
) -> dict[str, float]:
    figures = _load(server, stub, delay_ms=delay_ms, concurrency=concurrency, seconds=seconds)
    if not figures:
        raise BenchError(f"{server.program.name} answered nothing; its log: {server.log_path}")
    return figures


def _load(
    server: Server, stub: RunningStub, *, delay_ms: int, concurrency: int, seconds: float
) -> dict[str, float]:
    token = stub.token() if server.program.is_signed else ""
    next_request = turns(port=server.port, service_url=stub.service_url, token=token)
    stub.set_back(delay=delay_ms / 1000)
    before = server.cpu_seconds
    load = asyncio.run(closed_loop(server.port, next_request, concurrency=concurrency, seconds=seconds))
    spent = server.cpu_seconds - before
    counts = stub.counts()
    p50, p99 = percentile(load.latencies, 50), percentile(load.latencies, 99)
    if p50 is None or p99 is None or not counts["activities"]:
        return {}
    stub.require_tokens(server.program.name, is_signed=server.program.is_signed)
    turns_taken, replies = len(load.latencies), counts["activities"]
    if not load.failures and replies != turns_taken:
        raise BenchError(f"{server.program.name} answered {turns_taken} turns and sent {replies} replies")
    return {
        "req/s": load.rate,
        "p50 ms": p50 * 1000,
        "p99 ms": p99 * 1000,
        "CPU ms/req": spent * 1000 / counts["activities"],
        "conns/msg": counts["connections"] / counts["activities"],
        "tokens/msg": counts["token_calls"] / counts["activities"],
        "failed": load.failures,
    }


def _burst_measured(server: Server, stub: RunningStub, *, size: int) -> dict[str, float]:
    token = stub.token() if server.program.is_signed else ""
    next_request = turns(port=server.port, service_url=stub.service_url, token=token)
    stub.set_back(delay=0.05)
    told = asyncio.run(burst(server.port, next_request, size=size))
    gives_up_at = time.monotonic() + REPLY_SECONDS
    while (counts := stub.counts())["activities"] < size - told.failures and time.monotonic() < gives_up_at:
        time.sleep(0.05)
    return {
        "first reply s": counts["first_activity_at"] - told.began,
        "last reply s": counts["last_activity_at"] - told.began,
        "last turn answered s": told.seconds,
        "failed": told.failures,
    }
