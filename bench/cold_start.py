"""Cold start: what imports cost, and how long a fresh process needs until it has answered its first turn."""

import json
import logging
import os
import random
import subprocess
import sys
import time

from bench.comparison import Comparison, Sample
from bench.field import BARE, INBOUND
from bench.inbound import wait_for_first_turn
from bench.options import Options
from bench.programs import (
    PEERS_PYTHON,
    ROOT,
    BenchError,
    RunningStub,
    environment,
    processors,
    running,
    running_stub,
    started_on,
)
from bench.storage import running_azurite

log = logging.getLogger(__name__)

PLUG_ALL = """
import function_app, agent.bot, composition
ports = composition.services()
ports.bot_runner, ports.token_validator, ports.conversations, ports.turn_claims, ports.delivery_options
"""
# What is imported, by whose interpreter. The first is what every Python program pays.
IMPORTS: dict[str, tuple[str, str]] = {
    "(bare python)": (sys.executable, ""),
    "azure.functions, azure.durable_functions": (
        sys.executable,
        "import azure.functions, azure.durable_functions",
    ),
    "Afterword's function_app": (sys.executable, "import function_app"),
    "Afterword's function_app, all ports of a turn plugged": (sys.executable, PLUG_ALL),
    "aiohttp.web": (str(PEERS_PYTHON), "import aiohttp.web"),
    "botbuilder.integration.aiohttp": (str(PEERS_PYTHON), "import botbuilder.integration.aiohttp"),
    "microsoft_agents.hosting.aiohttp, .authentication.msal": (
        str(PEERS_PYTHON),
        "import microsoft_agents.hosting.aiohttp, microsoft_agents.authentication.msal",
    ),
    "microsoft_teams.apps": (str(PEERS_PYTHON), "import microsoft_teams.apps"),
}
MEASURE = """
import sys, time
before, cpu_before = time.perf_counter(), time.process_time()
{statement}
elapsed, cpu = time.perf_counter() - before, time.process_time() - cpu_before
modules = len(sys.modules)
import json, pathlib, re
memory = int(re.search(r"VmRSS:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
print(json.dumps({{"ms": elapsed * 1000, "CPU ms": cpu * 1000, "MB": memory, "modules": modules}}))
"""


def imports(options: Options) -> Comparison:
    samples: list[Sample] = []
    with running_stub(options.logs) as stub:
        for name in IMPORTS:  # so that all are compiled and in the page cache
            _imported(name, stub)
        for number in range(options.rounds_or(7)):
            for name in random.sample(list(IMPORTS), len(IMPORTS)):
                samples.append(Sample((), name, number, _imported(name, stub)))
    return Comparison(
        title="Imports: fresh interpreters, warm page cache, compiled modules",
        case_columns=(),
        figures=("ms", "CPU ms", "MB", "modules"),
        compared="",
        more_is_better=False,
        samples=samples,
    )


def _imported(name: str, stub: RunningStub) -> dict[str, float]:
    python, statement = IMPORTS[name]
    with started_on(processors()[0]):
        done = subprocess.run(
            [python, "-W", "ignore", "-c", MEASURE.format(statement=statement)],
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, **environment(stub, 0, {})},
            check=False,
            timeout=60,
        )
    if done.returncode:
        raise BenchError(f"{name} cannot be imported:\n{done.stderr.decode()}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def first_turns(options: Options) -> Comparison:
    """From the start of the process to the answer of its first turn, keys and tokens fetched on the way."""
    samples: list[Sample] = []
    with running_stub(options.logs) as stub, running_azurite(options.logs) as azurite:
        programs = [program.on(azurite) for program in options.chosen(INBOUND)]
        for number in range(-1, options.rounds_or(7)):
            for program in random.sample(programs, len(programs)):
                stub.set_back(delay=0)
                before = time.perf_counter()
                with running(program, stub, options.logs) as server:
                    wait_for_first_turn(server, stub)
                    elapsed = time.perf_counter() - before
                    figures = {"ms": elapsed * 1000, "CPU ms": server.cpu_seconds * 1000}
                if number >= 0:  # the round before compiles the modules and fills the page cache
                    samples.append(Sample((), program.name, number, figures))
            log.info("round %s done", number + 1)
    return Comparison(
        title=f"First turn: from the start of the process to its first answer ({BARE.name}: no SDK)",
        case_columns=(),
        figures=("ms", "CPU ms"),
        compared="ms",
        more_is_better=False,
        samples=samples,
    )
