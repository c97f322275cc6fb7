"""Contract B6: a test harness that was written for `func` finds devhost behind that name."""

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.devhost.host_process import free_port, until
from tests.devhost.written_app import write_app

SHIM = Path(__file__).parents[2] / "tools"
APP = """
import asyncio, os, time
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
@app.route(route="here")
async def here(req: func.HttpRequest) -> str:
    return os.getcwd()
@app.route(route="slow")
async def slow(req: func.HttpRequest) -> str:
    print("slow has begun", flush=True)
    await asyncio.sleep(0.7)
    return "answered"
@app.route(route="hangs")
def hangs(req: func.HttpRequest) -> str:
    print("hangs has begun", flush=True)
    time.sleep(60)
    return ""
"""


class Func:
    """`func start` in the directory of an app, as the leader of its own process group."""

    def __init__(self, app: Path, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self._log = app.parent / f"{app.name}-{self.port}-{os.urandom(4).hex()}.log"
        inherited = {k: v for k, v in os.environ.items() if not k.lower().startswith("azurewebjobs")}
        path = f"{SHIM}{os.pathsep}{os.environ.get('PATH', '')}"
        settings = {"PATH": path, "DEVHOST_PYTHON": sys.executable, "FUNCTIONS_WORKER_RUNTIME": "python"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                ["func", *arguments, "--port", str(self.port)],  # noqa: S607 (found on PATH: that is the point)
                cwd=app,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**inherited, **settings},
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def status(self, path: str) -> int | None:
        """Status of a GET, None while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            assert self.process.poll() is None, self.log
            return None

    def text(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def wait_until_ready(self) -> "Func":
        until(lambda: self.status("/") in (200, 204), why=f"GET / answers\n{self.log}")
        until(lambda: self.status("/admin/host/ping") == 200, why="ping answers")
        return self

    def signal_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def is_group_gone(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False


StartFunc = Callable[..., Func]


@pytest.fixture
def start_func() -> Iterator[StartFunc]:
    started: list[Func] = []

    def start(app: Path, *arguments: str, port: int | None = None) -> Func:
        started.append(Func(app, *(arguments or ("start",)), port=port))
        return started[-1]

    yield start
    for func in started:
        with suppress(ProcessLookupError):
            func.signal_group(signal.SIGKILL)
        func.process.wait(10)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", APP)


@pytest.mark.parametrize(
    ("arguments", "number"), [(("start",), signal.SIGTERM), (("host", "start"), signal.SIGINT)]
)
def test_it_is_ready_by_polling_and_a_signal_to_its_group_ends_it_cleanly(
    start_func: StartFunc, app: Path, arguments: tuple[str, ...], number: int
) -> None:
    func = start_func(app, *arguments).wait_until_ready()
    assert func.text("/api/here") == str(app)
    func.signal_group(number)
    assert func.process.wait(8) == 0, func.log
    until(func.is_group_gone, seconds=2, why="no process of the group is left")


def test_its_output_has_the_lines_that_harnesses_wait_for(start_func: StartFunc, app: Path) -> None:
    func = start_func(app)
    awaited = ("Worker process started and initialized.", "Job host started", "Host lock lease acquired by")
    until(lambda: all(line in func.log for line in awaited), why=f"{awaited}")
    lines = func.log.splitlines()
    functions = lines.index("Functions:")
    assert lines[functions + 2] == f"\thangs: http://localhost:{func.port}/api/hangs"
    assert "For detailed output, run func with --verbose flag." in lines[functions:]
    assert func.status("/api/here") == 200, "it listens when it says so"


def test_what_runs_may_end_and_what_hangs_does_not_hold_it_up(start_func: StartFunc, app: Path) -> None:
    func = start_func(app).wait_until_ready()
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(func.text("/api/slow")))
    hanging = threading.Thread(target=lambda: func.status("/api/hangs"), daemon=True)
    waiting.start()
    hanging.start()
    until(lambda: "slow has begun" in func.log and "hangs has begun" in func.log)
    func.signal_group(signal.SIGTERM)
    assert func.process.wait(9) == 0, func.log
    waiting.join(10)
    assert answers == ["answered"]


def test_a_second_start_on_the_port_says_that_it_is_unavailable(start_func: StartFunc, app: Path) -> None:
    first = start_func(app).wait_until_ready()
    second = start_func(app, port=first.port)
    assert second.process.wait(15) == 1
    assert (
        f"Port {first.port} is unavailable. Close the process using that port, "
        "or specify another port using --port [-p]."
    ) in second.log
    assert first.status("/api/here") == 200


def test_an_app_that_does_not_index_is_served_without_its_functions(
    start_func: StartFunc, tmp_path: Path
) -> None:
    func = start_func(write_app(tmp_path / "app", f"{APP}\nother = func.FunctionApp()\n")).wait_until_ready()
    assert func.status("/api/here") == 404
    assert "More than one FunctionApp or other top level function app instances are defined." in func.log
    func.signal_group(signal.SIGTERM)
    assert func.process.wait(8) == 0


def test_it_takes_no_module_from_beside_devhost(start_func: StartFunc, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "import orchestrators\n" + APP)
    func = start_func(app).wait_until_ready()
    assert "No module named 'orchestrators'" in func.log
