"""Contract B6, stopping: a signal ends the host within seconds, whatever the app and the host are doing."""

import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until
from tests.devhost.written_app import write_app

APP = """
import asyncio, logging, time
app = func.FunctionApp()
@app.route(route="thread")
async def thread(req: func.HttpRequest) -> str:
    logging.info("it has begun")
    await asyncio.to_thread(time.sleep, 120)
@app.route(route="loop")
async def loop(req: func.HttpRequest) -> str:
    logging.info("it has begun")
    time.sleep(120)
@app.route(route="deaf")
async def deaf(req: func.HttpRequest) -> str:
    logging.info("it has begun")
    while True:
        try:
            await asyncio.sleep(120)
        except asyncio.CancelledError:
            pass
"""
LATEST_SECONDS = 10


def begin(host: DevhostProcess, path: str) -> None:
    def call() -> None:
        with suppress(OSError):
            host.call("GET", path)

    threading.Thread(target=call, daemon=True).start()
    until(lambda: "it has begun" in host.log)


def test_coroutines_that_cannot_be_cancelled_do_not_hold_it_up(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP)
    hosts = {kind: start_host(app, place=tmp_path / kind) for kind in ("thread", "loop", "deaf")}
    for kind, host in hosts.items():
        begin(host.wait_until_up(), f"/api/{kind}")
    for host in hosts.values():
        host.process.send_signal(signal.SIGTERM)
    for kind, host in hosts.items():
        assert host.process.wait(LATEST_SECONDS) == 0, host.log
        assert ("devhost does not stop, for something blocks it" in host.log) == (kind == "loop")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_app_that_is_being_imported_does_not_hold_it_up(
    start_host: StartHost, tmp_path: Path, number: int
) -> None:
    app = write_app(tmp_path / "app", "import time\nprint('importing', flush=True)\ntime.sleep(120)\n")
    host = start_host(app)
    until(lambda: "importing" in host.log)
    host.process.send_signal(number)
    assert host.process.wait(5) == 0, host.log


def test_a_restart_waits_for_nothing_without_end_and_loses_no_signal(
    start_host: StartHost, tmp_path: Path
) -> None:
    app = write_app(tmp_path / "app", APP)
    restarting, stopping = (
        start_host(app, place=tmp_path / place, arguments=("start", "--watch")).wait_until_up()
        for place in ("restarting", "stopping")
    )
    begin(restarting, "/api/thread")
    begin(stopping, "/api/deaf")
    (app / "more.py").write_text("")
    until(lambda: "the app is restarted" in stopping.log)
    stopping.process.send_signal(signal.SIGTERM)
    assert stopping.process.wait(LATEST_SECONDS) == 0, stopping.log
    until(lambda: restarting.log.count("Job host started") == 2, why=restarting.log)
    assert restarting.stop() == 0


def test_a_host_that_waits_for_a_repair_stops_as_any_other(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP)
    host = start_host(app, arguments=("start", "--watch")).wait_until_up()
    (app / "host.json").write_text("{")
    until(lambda: "waiting for the next change" in host.log)
    assert host.stop() == 0
