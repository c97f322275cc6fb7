"""How late follow-ups are when many jobs are due at one moment, and how long it takes to say them all."""

import logging
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import msgspec

from bench.acknowledgements import NOT_DUE_SECONDS, take_on, taking_jobs
from bench.arrivals import Arrival
from bench.comparison import Comparison, Sample
from bench.field import JOBS, JOBS_ON_AZURITE
from bench.figures import percentile
from bench.options import Options
from bench.programs import BenchError, Program, RunningStub, Server, running_stub
from bench.storage import running_azurite
from bench.turns import TENANTS

log = logging.getLogger(__name__)

JOBS_AT_ONCE, JOBS_WHEN_QUICK = 1000, 40
STARTED_AT_ONCE = 16
PROBE_SECONDS = 2.0
MARGIN = 1.4  # how much longer than the probe's rate says it may take to start all jobs
SPARE_SECONDS = 5.0  # between the last start and the moment when all are due
PATIENCE_SECONDS = 300.0


def follow_ups(options: Options) -> Comparison:
    samples: list[Sample] = []
    jobs = JOBS_WHEN_QUICK if options.is_quick else JOBS_AT_ONCE
    cases = [(program, TENANTS) for program in options.chosen(JOBS)]
    cases += [(program, 1) for program, _ in cases if program == JOBS_ON_AZURITE]
    launches = count()
    for number in range(options.rounds_or(1)):
        for program, tenants in random.sample(cases, len(cases)):
            # A task hub of its own for each, or the jobs of the one before would be in it.
            own = msgspec.structs.replace(options, logs=options.logs / str(next(launches)))
            figures = _drained(program, own, jobs=jobs, tenants=tenants)
            samples.append(Sample((str(jobs), str(tenants)), program.name, number, figures))
            log.info("%s, %s tenants: %.0f s late at most", program.name, tenants, figures["max s"])
    return Comparison(
        title="Follow-ups of jobs that are all due at one moment; the stub answers at once",
        case_columns=("jobs", "tenants"),
        figures=("late p50 s", "late p99 s", "max s", "follow-ups/s", "CPU ms/follow-up", "lost"),
        compared="late p50 s",
        more_is_better=False,
        samples=samples,
    )


def _drained(program: Program, options: Options, *, jobs: int, tenants: int) -> dict[str, float]:
    with running_stub(options.logs) as stub, running_azurite(options.logs) as azurite:
        stub.set_back(delay=0)
        with taking_jobs(program.on(azurite), stub, options) as server:
            due = time.time() + _seconds_to_start(server, stub, jobs=jobs)
            stub.set_back(delay=0, keeps_arrivals=True)
            taken = take_on(server, stub, due=due, concurrency=STARTED_AT_ONCE, most=jobs, tenants=tenants)
            spare = due - time.time()
            if spare < 1 or not all(turn.is_acknowledged for turn in taken):
                raise BenchError(f"{program.name} had not taken on {jobs} jobs before they were due")
            before = server.cpu_seconds
            arrivals = _until_all_arrived(stub, more=jobs, due=due)
            stub.require_tokens(program.name)
            spent = server.cpu_seconds - before
    due_monotonic = due - (time.time() - time.monotonic())
    figures = figures_of(arrivals, due=due_monotonic, jobs=jobs)
    if figures["lost"]:
        kept = Path(tempfile.mkdtemp(prefix="afterword-bench-lost-"))
        shutil.copy(server.log_path, kept)
        log.warning(
            "%d follow-ups of %s did not arrive; its log is in %s", figures["lost"], program.name, kept
        )
    return {**figures, "CPU ms/follow-up": spent * 1000 / jobs}


def _seconds_to_start(server: Server, stub: RunningStub, *, jobs: int) -> float:
    """How long to start so many, by how many are started in a moment; these are not due for long."""
    due = time.time() + NOT_DUE_SECONDS
    began = time.monotonic()
    probed = take_on(server, stub, due=due, concurrency=STARTED_AT_ONCE, seconds=PROBE_SECONDS)
    rate = len(probed) / (time.monotonic() - began)
    return MARGIN * jobs / rate + SPARE_SECONDS


def _until_all_arrived(stub: RunningStub, *, more: int, due: float) -> list[Arrival]:
    """Wait for the acknowledgements and as many follow-ups, or until nobody would wait any longer."""
    gives_up_at = due + PATIENCE_SECONDS
    time.sleep(max(due - time.time(), 0))
    while len(arrivals := stub.arrivals()) < 2 * more and time.time() < gives_up_at:
        time.sleep(0.5)  # what is asked for takes of the other side's processor
    return arrivals


def figures_of(arrivals: Sequence[Arrival], *, due: float, jobs: int) -> dict[str, float]:
    """By the first thing said in each conversation at or after ``due``; before it came the acknowledgement.

    Raises BenchError where nothing was said then.
    """
    told: dict[str, float] = {}
    for arrival in arrivals:
        if arrival.at >= due:
            told.setdefault(arrival.conversation_id, arrival.at)
    late = [at - due for at in told.values()]
    p50, p99 = percentile(late, 50), percentile(late, 99)
    if p50 is None or p99 is None:
        raise BenchError("no follow-up arrived")
    return {
        "late p50 s": p50,
        "late p99 s": p99,
        "max s": max(late),
        "follow-ups/s": len(late) / max(late),
        "lost": jobs - len(late),
    }
