"""The Functions host of the local stack: how devhost is started on this app, and when it is ready."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from local.node import HERE
from local.ports import LOOPBACK, Ports, answers_http
from local.processes import ChildProcess, never

ROOT = HERE.parent
START_SECONDS = 60.0


def functions_url(ports: Ports) -> str:
    return f"http://{LOOPBACK}:{ports.functions_port}"


def start_functions_host(
    ports: Ports, *, script_root: Path, data: Path, logs: Path, settings: Mapping[str, str], home: Path = ROOT
) -> ChildProcess:
    """Start devhost on the app in ``script_root``; ``settings`` win over its local.settings.json.

    ``home`` is the directory in which the package devhost lies.
    """
    command: list[str | Path] = [
        sys.executable,
        *("-m", "devhost", "start"),
        *("--address", LOOPBACK, "--port", str(ports.functions_port)),
        *("--script-root", script_root),
        *("--data-dir", data),
    ]
    return ChildProcess.start(
        "devhost",
        command,
        log_path=logs / "devhost.log",
        directory=home,
        # A message that a stopped host still held comes back after seconds, not after Azure's ten minutes.
        environment={"PYTHONUNBUFFERED": "1", "DEVHOST_QUEUE_LEASE": "00:00:10", **settings},
    )


def wait_for_functions_host(
    host: ChildProcess, ports: Ports, *, is_cancelled: Callable[[], bool] = never
) -> None:
    host.wait_until(
        lambda: answers_http(ports.functions_port, "/admin/host/ping"),
        seconds=START_SECONDS,
        is_cancelled=is_cancelled,
    )
