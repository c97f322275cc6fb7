"""How soon a turn that starts a job is acknowledged: at the connector, and by the HTTP response."""

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.arrivals import Arrival
from bench.comparison import Comparison, Sample
from bench.field import JOBS
from bench.figures import percentile
from bench.inbound import wait_for_first_turn
from bench.load import Taken, turns_taken
from bench.options import Options
from bench.programs import BenchError, Program, RunningStub, Server, running, running_stub
from bench.reminder import request
from bench.storage import running_azurite
from bench.turns import TENANTS, USERS, addressed_turns

log = logging.getLogger(__name__)

CONCURRENCIES = (1, 16, 64)
DELAY_SECONDS = 0.05
MOST = 5000  # fewer than there are users, so that no conversation has two turns in one measurement
NOT_DUE_SECONDS = 3600.0  # what is measured is the start of a job, not its end
WARM_UP_JOBS = 16
BUDGET_SECONDS, CHANNEL_SECONDS = 10.0, 15.0


def acknowledgements(options: Options) -> Comparison:
    samples: list[Sample] = []
    for number in range(options.rounds_or(2)):
        with _all_running(options) as (stub, servers):
            concurrencies = options.concurrencies_or(CONCURRENCIES)
            for concurrency in random.sample(concurrencies, len(concurrencies)):
                for server in random.sample(servers, len(servers)):
                    figures = _measured(server, stub, concurrency=concurrency, seconds=options.seconds(6))
                    samples.append(Sample((str(concurrency),), server.program.name, number, figures))
        log.info("round %s done", number + 1)
    return Comparison(
        title="Acknowledgement of a turn that starts a job; the stub answers after 50 ms",
        case_columns=("c",),
        figures=(
            "turns",
            "at connector p50 ms",
            "at connector p99 ms",
            "response p50 ms",
            "response p99 ms",
            "p99 % of 10 s",
            "p99 % of 15 s",
            "failed",
        ),
        compared="at connector p99 ms",
        more_is_better=False,
        samples=samples,
    )


@contextmanager
def _all_running(options: Options) -> Iterator[tuple[RunningStub, Sequence[Server]]]:
    with ExitStack() as stack:
        stub = stack.enter_context(running_stub(options.logs))
        azurite = stack.enter_context(running_azurite(options.logs))
        servers = []
        for program in random.sample(options.chosen(JOBS), len(options.chosen(JOBS))):
            servers.append(stack.enter_context(taking_jobs(program.on(azurite), stub, options)))
        yield stub, servers


@contextmanager
def taking_jobs(program: Program, stub: RunningStub, options: Options) -> Iterator[Server]:
    """The program, started, which has taken some jobs on already."""
    with running(program, stub, options.logs) as server:
        wait_for_first_turn(server, stub)
        take_on(server, stub, due=time.time() + NOT_DUE_SECONDS, concurrency=4, most=WARM_UP_JOBS)
        yield server


def take_on(
    server: Server,
    stub: RunningStub,
    *,
    due: float,
    concurrency: int,
    most: int = MOST,
    seconds: float = 60.0,
    tenants: int = TENANTS,
    users: int = USERS,
) -> list[Taken]:
    """Ask for jobs that are due at a moment of the Unix clock. Raises BenchError where the program died."""
    next_turn = addressed_turns(
        port=server.port,
        service_url=stub.service_url,
        token=stub.token(),
        text=request(due),
        tenants=tenants,
        users=users,
    )
    taken = asyncio.run(
        turns_taken(server.port, next_turn, concurrency=concurrency, most=most, seconds=seconds)
    )
    if server.is_over:
        raise BenchError(f"{server.program.name} died meanwhile:\n{server.last_words}")
    return taken


def _measured(server: Server, stub: RunningStub, *, concurrency: int, seconds: float) -> dict[str, float]:
    stub.set_back(delay=DELAY_SECONDS, keeps_arrivals=True)
    due = time.time() + NOT_DUE_SECONDS
    taken = take_on(server, stub, due=due, concurrency=concurrency, seconds=seconds)
    stub.require_tokens(server.program.name)
    return figures_of(taken, stub.arrivals(), program=server.program.name)


def figures_of(taken: Sequence[Taken], arrivals: Sequence[Arrival], *, program: str) -> dict[str, float]:
    """Of the turns that were acknowledged. Raises BenchError where there are none, or one said nothing."""
    arrived: dict[str, float] = {}
    for arrival in arrivals:  # the first in a conversation; what follows is not the acknowledgement
        arrived.setdefault(arrival.conversation_id, arrival.at)
    acknowledged = [turn for turn in taken if turn.is_acknowledged]
    if silent := [turn for turn in acknowledged if turn.conversation_id not in arrived]:
        raise BenchError(f"{program} answered {len(silent)} turns with success and said nothing")
    at_connector = [(arrived[turn.conversation_id] - turn.asked_at) * 1000 for turn in acknowledged]
    responses = [(turn.answered_at - turn.asked_at) * 1000 for turn in acknowledged]
    p50, p99 = percentile(at_connector, 50), percentile(at_connector, 99)
    response_p50, response_p99 = percentile(responses, 50), percentile(responses, 99)
    if p50 is None or p99 is None or response_p50 is None or response_p99 is None:
        raise BenchError(f"{program} acknowledged no turn")
    return {
        "turns": len(taken),
        "at connector p50 ms": p50,
        "at connector p99 ms": p99,
        "response p50 ms": response_p50,
        "response p99 ms": response_p99,
        "p99 % of 10 s": p99 / BUDGET_SECONDS / 10,
        "p99 % of 15 s": response_p99 / CHANNEL_SECONDS / 10,
        "failed": len(taken) - len(acknowledged),
    }
