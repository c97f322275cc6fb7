"""The Functions host of the local stack: how devhost is started on this app, and when it is ready."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from local.node import HERE
from local.ports import LOOPBACK, Ports, body_at
from local.processes import ChildProcess, StackError, never

ROOT = HERE.parent
START_SECONDS = 60.0
REFUSAL = "devhost cannot start: "


class AppNotLoadedError(StackError):
    """devhost runs, but without the app, or without one of its functions; its log says all of it."""


def functions_url(ports: Ports) -> str:
    return f"http://{LOOPBACK}:{ports.functions_port}"


def start_functions_host(
    ports: Ports,
    *,
    script_root: Path,
    data: Path,
    logs: Path,
    settings: Mapping[str, str],
    home: Path = ROOT,
    shares_hub: bool = False,
) -> ChildProcess:
    """Start devhost on the app in ``script_root``; ``settings`` win over its local.settings.json.

    ``home`` is the directory in which the package devhost lies. ``shares_hub``: beside others on ``data``.
    """
    command: list[str | Path] = [
        sys.executable,
        *("-m", "devhost", "start"),
        *("--address", LOOPBACK, "--port", str(ports.functions_port)),
        *("--script-root", script_root),
        *("--data-dir", data),
        *(["--shares-hub"] if shares_hub else []),
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
    """Wait until every function of the app is there. Raises AppNotLoadedError if one cannot be."""

    def is_running() -> bool:
        if host.exit_code is not None:
            _raise_its_refusal(host)
        body = body_at(ports.functions_port, "/admin/host/status")
        if body is None:
            return False
        status = json.loads(body)
        if status["state"] == "Error":
            [first, *others] = [str(error).splitlines()[0] for error in status["errors"]]
            more = f" (and {len(others)} more, see devhost's log)" if others else ""
            raise AppNotLoadedError(f"The app cannot run: {first}{more}")
        return bool(status["state"] == "Running")

    host.wait_until(is_running, seconds=START_SECONDS, is_cancelled=is_cancelled)


def _raise_its_refusal(host: ChildProcess) -> None:
    """devhost's last words, where they say what is wrong; without them its log has to be shown."""
    lines = host.log_text().splitlines()
    if lines and lines[-1].startswith(REFUSAL):
        raise StackError(lines[-1])
