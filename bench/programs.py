"""How the stub and the programs under test are started, on which processor, and what time they spent."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from bench.arrivals import Arrival, arrival_of
from bench.who import APP_ID, APP_PASSWORD, TENANT_ID
from local.ports import LOOPBACK, answers, free_ports
from local.processes import ChildProcess

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS_PYTHON = HERE / ".venv-peers" / "bin" / "python"
START_SECONDS = 60.0
UNSIGNED = {
    "BENCH_TOKENS": "off",
    "ChannelAuth": "off",
    "MicrosoftAppId": "",
    "MicrosoftAppPassword": "",
    "MicrosoftAppTenantId": "",
}
TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The bench cannot run, or measured nothing; the message says why."""


class Program(msgspec.Struct, frozen=True):
    """One program under test. ``command``: what stands behind the interpreter."""

    name: str
    command: Sequence[str]
    is_peer: bool = False
    environment: Mapping[str, str] = {}

    def arguments(self, *more: str) -> list[str]:
        return [str(PEERS_PYTHON) if self.is_peer else sys.executable, *self.command, *more]

    @property
    def to_serve(self) -> list[str]:
        """The command with which it listens; devhost does so without being told."""
        return self.arguments("serve") if self.command[0].endswith(".py") else self.arguments()

    @property
    def is_signed(self) -> bool:
        return "BENCH_TOKENS" not in self.environment

    @property
    def unsigned(self) -> "Program":
        """The program where nobody has a token: neither the channel nor the agent."""
        return msgspec.structs.replace(self, environment={**self.environment, **UNSIGNED})

    def on(self, storage_connection: str) -> "Program":
        """The program with this storage, which only some of ours look at."""
        storage = {"AzureWebJobsStorage": storage_connection}
        return msgspec.structs.replace(self, environment={**self.environment, **storage})


@cache
def processors() -> tuple[int, int]:
    """The one of the program under test, and the one of everything else; as it was before we bound us."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("the bench needs two processors: one for the program under test, one for the rest")
    return usable[0], usable[1]


@contextmanager
def started_on(processor: int) -> Iterator[None]:
    """What is started meanwhile runs on this processor alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has spent, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class RunningStub:
    """The stub's process, and what it is told and asked."""

    def __init__(self, process: ChildProcess, port: int) -> None:
        self.process = process
        self.base_url = f"http://{LOOPBACK}:{port}"
        self.service_url = f"{self.base_url}/teams/"
        self._port = port

    def set_back(self, *, delay: float, keeps_arrivals: bool = False) -> None:
        self._get(f"/bench/reset?delay={delay}" + ("&arrivals=1" if keeps_arrivals else ""))

    def arrivals(self) -> list[Arrival]:
        """What arrived since the stub was set back to keep it."""
        return [arrival_of(at, path) for at, path in self._get("/bench/arrivals")["arrivals"]]

    def counts(self) -> dict[str, Any]:
        return self._get("/bench/counts")

    def require_tokens(self, sender: str, *, is_signed: bool = True) -> None:
        """Raise BenchError if not all was sent with a token, or none of it: it was not the same work."""
        counts = self.counts()
        missing = counts["without_token"]
        if is_signed and missing:
            raise BenchError(f"{sender} sent {missing} activities without a token")
        if not is_signed and missing < counts["activities"]:
            raise BenchError(f"{sender} sent activities with a token")

    def token(self) -> str:
        return str(self._get(f"/bench/token?service_url={quote(self.service_url, safe='')}")["token"])

    def _get(self, target: str) -> dict[str, Any]:
        connection = HTTPConnection(LOOPBACK, self._port, timeout=10)
        connection.request("GET", target)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer


@contextmanager
def running_stub(logs: Path) -> Iterator[RunningStub]:
    [port] = free_ports(1)
    with started_on(processors()[1]):
        process = ChildProcess.start(
            "the stub",
            [sys.executable, "-m", "bench.stub", "--port", str(port)],
            log_path=logs / "stub.log",
            directory=ROOT,
            environment={},
        )
    try:
        process.wait_until(lambda: answers(port), seconds=START_SECONDS)
        yield RunningStub(process, port)
    finally:
        process.stop()


@cache
def settings_of_the_example() -> dict[str, str]:
    values: dict[str, str] = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))["Values"]
    return values


def environment(stub: RunningStub, port: int, extra: Mapping[str, str]) -> dict[str, str]:
    """What a program is told: where the stub is, who it is itself."""
    return {
        **settings_of_the_example(),
        "BENCH_STUB": stub.base_url,
        "BENCH_PORT": str(port),
        "BENCH_TOKENS": "on",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "ignore",
        "MicrosoftAppId": APP_ID,
        "MicrosoftAppPassword": APP_PASSWORD,
        "MicrosoftAppTenantId": TENANT_ID,
        "BotOpenIdMetadata": f"{stub.base_url}/v1/.well-known/openidconfiguration",
        "ChannelAuth": "on",
        **extra,
    }


class Server:
    """A program under test that listens."""

    def __init__(self, program: Program, stub: RunningStub, logs: Path) -> None:
        self.program = program
        [self.port] = free_ports(1)
        self.data_dir = logs / f"{_file_name(program)}-data"  # devhost's; others make none
        places = {"{port}": str(self.port), "{data}": str(self.data_dir)}
        command = [places.get(part, part) for part in program.to_serve]
        with started_on(processors()[0]):
            self._process = ChildProcess.start(
                program.name,
                command,
                log_path=logs / f"{_file_name(program)}.log",
                directory=ROOT,
                environment=environment(stub, self.port, program.environment),
            )

    @property
    def is_over(self) -> bool:
        return self._process.exit_code is not None

    @property
    def last_words(self) -> str:
        return self._process.log_tail()

    @property
    def log_path(self) -> Path:
        return self._process.log_path

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self._process.pid)

    def stop(self) -> None:
        self._process.ask_to_stop()
        self._process.stop(seconds=5)


@contextmanager
def running(program: Program, stub: RunningStub, logs: Path) -> Iterator[Server]:
    server = Server(program, stub, logs)
    try:
        yield server
    finally:
        server.stop()


def _file_name(program: Program) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in program.name)
