"""Messages that go out unasked: the rate, latency and processor time of each, to the stub."""

import json
import logging
import os
import random
import select
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from bench.comparison import Comparison, Sample
from bench.field import OUTBOUND
from bench.figures import percentile
from bench.options import Options
from bench.programs import (
    ROOT,
    BenchError,
    Program,
    RunningStub,
    environment,
    processors,
    running_stub,
    started_on,
)
from bench.storage import running_azurite

log = logging.getLogger(__name__)

DELAYS_MS = (0, 50)
CONCURRENCIES = (1, 64)
MOST, MOST_WHEN_QUICK = 2000, 300  # messages in one measurement
PATIENCE_SECONDS = 120.0


def outbound(options: Options) -> Comparison:
    samples: list[Sample] = []
    with running_stub(options.logs) as stub, running_azurite(options.logs) as azurite:
        for number in range(options.rounds_or(3)):
            concurrencies = options.concurrencies_or(CONCURRENCIES)
            cases = [(delay, concurrency) for delay in DELAYS_MS for concurrency in concurrencies]
            for delay, concurrency in random.sample(cases, len(cases)):
                programs = options.chosen(OUTBOUND)
                for program in random.sample(programs, len(programs)):
                    figures = _measured(
                        program.on(azurite),
                        stub,
                        logs=options.logs,
                        delay_ms=delay,
                        concurrency=concurrency,
                        most=MOST_WHEN_QUICK if options.is_quick else MOST,
                        seconds=options.seconds(4),
                    )
                    samples.append(Sample((str(delay), str(concurrency)), program.name, number, figures))
            log.info("round %s done", number + 1)
    return Comparison(
        title="Outbound: messages that nobody asked for, each to a conversation of its own",
        case_columns=("stub ms", "c"),
        figures=("msg/s", "p50 ms", "p99 ms", "CPU ms/msg", "conns/msg", "tokens/msg"),
        compared="msg/s",
        more_is_better=True,
        samples=samples,
    )


def _measured(
    program: Program,
    stub: RunningStub,
    *,
    logs: Path,
    delay_ms: int,
    concurrency: int,
    most: int,
    seconds: float,
) -> dict[str, float]:
    stub.set_back(delay=delay_ms / 1000)
    with (logs / "senders.log").open("ab") as errors:
        errors.write(f"== {program.name}\n".encode())
        errors.flush()
        sender = _started(program, stub, errors, concurrency=concurrency, most=most, seconds=seconds)
        with sender:
            assert sender.stdin
            assert sender.stdout
            try:
                _line_of(sender.stdout, program)
                stub.set_back(delay=delay_ms / 1000)
                sender.stdin.write(b"go\n")
                sender.stdin.flush()
                told = _line_of(sender.stdout, program)
            finally:
                sender.kill()
    counts = stub.counts()
    stub.require_tokens(program.name)
    if counts["activities"] != told["sent"]:
        raise BenchError(f"{program.name} says {told['sent']} were sent, {counts['activities']} arrived")
    return _figures(told, counts)


def _figures(told: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, float]:
    p50, p99 = percentile(told["latencies"], 50), percentile(told["latencies"], 99)
    if p50 is None or p99 is None:
        raise BenchError("nothing was sent")
    return {
        "msg/s": told["sent"] / told["elapsed"],
        "p50 ms": p50 * 1000,
        "p99 ms": p99 * 1000,
        "CPU ms/msg": told["cpu"] * 1000 / told["sent"],
        "conns/msg": counts["connections"] / told["sent"],
        "tokens/msg": counts["token_calls"] / told["sent"],
    }


def _started(
    program: Program,
    stub: RunningStub,
    errors: IO[bytes],
    *,
    concurrency: int,
    most: int,
    seconds: float,
) -> "subprocess.Popen[bytes]":
    extra = {**program.environment, "BENCH_USERS": str(most)}
    with started_on(processors()[0]):
        return subprocess.Popen(
            program.arguments("send", str(concurrency), str(most), str(seconds)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, **environment(stub, 0, extra)},
        )


def _line_of(output: IO[bytes], program: Program) -> dict[str, Any]:
    """The next line that the program tells. Raises BenchError when it ends or is silent for too long."""
    ready, _, _ = select.select([output], [], [], PATIENCE_SECONDS)
    line = output.readline() if ready else b""
    if not line:
        raise BenchError(f"{program.name} does not send; its log is senders.log")
    told: dict[str, Any] = json.loads(line)
    return told
