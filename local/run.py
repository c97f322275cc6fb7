"""`make run`: the local stack for a developer, until Ctrl-C, with devhost's log in the terminal."""

import signal
import sys
import threading
import time
from pathlib import Path

from local.functions_host import ROOT, AppNotLoadedError, functions_url
from local.playground import playground_url
from local.ports import Ports
from local.processes import StackError
from local.settings_file import SETTINGS_FILE, values_of
from local.stack import Stack

FOLLOW_SECONDS = 0.2


class LogFollower:
    """Copies a log file to the terminal, from its beginning, as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = 0

    def copy_news(self) -> None:
        with self._path.open("rb") as log:
            log.seek(self._seen)
            news = log.read()
        self._seen += len(news)
        sys.stdout.write(news.decode("utf-8", errors="replace"))
        sys.stdout.flush()


def banner(stack: Stack, seconds: float) -> str:
    python = ".venv/bin/python" if (ROOT / ".venv").is_dir() else "python"
    port = stack.ports.azurite_queue_port
    moved = "" if port == Ports().azurite_queue_port else f"AZURITE_QUEUE_PORT={port} "
    digest = f"{functions_url(stack.ports)}/admin/functions/send_daily_digest"
    return f"""
Afterword is running (ready in {seconds:.1f} s).

  Open     {playground_url(stack.ports)}  and type: order a laptop
           or: what can you do?, request a licence for Sketch, status, cancel
  Queue    {moved}{python} -m local send "Your laptop waits at the desk"
  Timer    curl -X POST {digest} -H 'Content-Type: application/json' -d '{{"input":""}}'
  Logs     {stack.logs}
  Ctrl-C   stops everything; what was stored is kept
"""


def run(ports: Ports, data: Path, task_hub: Path) -> int:
    """Run the stack until SIGINT, SIGTERM or SIGHUP; StackError if it cannot start or a part of it dies."""
    values_of(SETTINGS_FILE)
    stopping = _stop_signals()
    stack = Stack(ports=ports, data=data, task_hub=task_hub)
    started = time.monotonic()
    try:
        stack.start(is_cancelled=stopping.is_set)
        if not stopping.is_set():
            log = _log_of_devhost(stack)
            log.copy_news()  # which functions there are; what to do with them comes last
            print(banner(stack, time.monotonic() - started), flush=True)
            _follow(stack, log, stopping)
    except AppNotLoadedError:
        _log_of_devhost(stack).copy_news()
        raise
    finally:
        if stack.children:
            print("\nStopping ...", flush=True)
        stack.stop()
    print("Stopped.", flush=True)
    return 0


def _log_of_devhost(stack: Stack) -> LogFollower:
    if stack.functions_host is None:
        raise StackError("devhost was not started")
    return LogFollower(stack.functions_host.log_path)


def _follow(stack: Stack, log: LogFollower, stopping: threading.Event) -> None:
    while not stopping.wait(FOLLOW_SECONDS):
        log.copy_news()
        stack.raise_if_one_died()


def _stop_signals() -> threading.Event:
    """An event that is set by the signals that ask us to stop; they do nothing else from now on."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
