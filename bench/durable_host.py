"""devhost as a process of the benches: the app in bench/apps/durable_host, its task hub, its memory."""

import asyncio
import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import aiohttp

from bench.programs import ROOT, START_SECONDS, BenchError, cpu_seconds, processors, started_on
from local.ports import LOOPBACK, free_ports
from local.processes import ChildProcess

APP = ROOT / "bench" / "apps" / "durable_host"
HOOKS = "/runtime/webhooks/durabletask"
STARTERS = 16  # requests under way
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 300.0
COMPLETED = 1  # number of a runtime status


class DurableHost:
    """One devhost process on a data directory."""

    def __init__(self, data_dir: Path, log_path: Path) -> None:
        self.data_dir = data_dir
        [self.port] = free_ports(1)
        command = [sys.executable, "-m", "devhost", "start", "--port", str(self.port)]
        command += ["--script-root", str(APP), "--data-dir", str(data_dir)]
        self.started_at = time.perf_counter()
        with started_on(processors()[0]):
            self.process = ChildProcess.start(
                "devhost",
                command,
                log_path=log_path,
                directory=ROOT,
                environment={"FUNCTIONS_WORKER_RUNTIME": "python", "PYTHONWARNINGS": "ignore"},
            )

    def wait_until_it_serves(self) -> float:
        """Seconds from the start of the process to the first answer of a function."""
        while time.perf_counter() - self.started_at < START_SECONDS:
            if self.process.exit_code is not None:
                raise BenchError(self.process.obituary())
            try:
                if self.get("/api/hello")[0] == 200:
                    return time.perf_counter() - self.started_at
            except OSError:
                time.sleep(0.005)
        raise BenchError(f"devhost does not serve:\n{self.process.log_tail()}")

    def get(self, target: str) -> tuple[int, bytes]:
        with closing(HTTPConnection(LOOPBACK, self.port, timeout=60)) as connection:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()

    @property
    def hub_path(self) -> Path:
        [hub] = self.data_dir.glob("*.sqlite")
        return hub

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    @property
    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        found = re.search(r"VmRSS:\s*(\d+) kB", status)
        if found is None:
            raise BenchError("the kernel does not tell the memory of devhost")
        return int(found[1]) * 1024

    def start(self, orchestrator: str, inputs: Sequence[object]) -> None:
        """Start one instance an input. Raises BenchError when one is not accepted."""
        asyncio.run(self._start(orchestrator, inputs))

    async def _start(self, orchestrator: str, inputs: Sequence[object]) -> None:
        url = f"http://{LOOPBACK}:{self.port}{HOOKS}/orchestrators/{orchestrator}"
        waiting = iter(inputs)
        async with aiohttp.ClientSession() as session:

            async def start_more() -> None:
                for given in waiting:
                    # As the SDK's client sends it: the JSON of the input's JSON.
                    async with session.post(url, json=json.dumps(given)) as answer:
                        if answer.status != 202:
                            raise BenchError(f"a start was answered with {answer.status}")

            await asyncio.gather(*(start_more() for _ in range(STARTERS)))

    def wait_until_none_runs(self) -> None:
        """Raises BenchError when some run for ever."""
        gives_up_at = time.monotonic() + PATIENCE_SECONDS
        while self._some("Pending,Running"):
            if time.monotonic() > gives_up_at:
                raise BenchError("instances did not end")
            time.sleep(LOOK_SECONDS)

    def count(self, status: int) -> int:
        """How many instances stand so, by the number of the status in the task hub."""
        with closing(sqlite3.connect(f"file:{self.hub_path}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT COUNT(*) FROM instances WHERE status = ?", (status,))
            return int(found.fetchone()[0])

    def _some(self, status: str) -> Any:
        return json.loads(self.get(f"{HOOKS}/instances?runtimeStatus={status}&top=1&showInput=false")[1])


@contextmanager
def running_host(data_dir: Path, log_path: Path) -> Iterator[DurableHost]:
    host = DurableHost(data_dir, log_path)
    try:
        yield host
    finally:
        host.process.stop(seconds=10)
