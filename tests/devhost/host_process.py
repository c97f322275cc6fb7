"""A devhost process for a test: started on a free port, spoken to over HTTP, stopped or killed by its id."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parent.parent.parent
# Nobody listens on port 1: an app that names a storage account finds it away.
NO_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=bm90IGEga2V5;"
    "QueueEndpoint=http://127.0.0.1:1/devstoreaccount1"
)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `cookies` are its Set-Cookie headers."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def free_port() -> int:
    """A port that nobody takes before it is bound: below those from which the kernel serves outgoing
    connections, and below those from which the local stack draws its own (local/ports.py)."""
    while True:
        port = random.randrange(12_000, 20_000)  # noqa: S311 (no secret)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(what: Callable[[], Any], *, seconds: float = 15, why: str = "") -> Any:
    """Poll until `what` gives something true, and return that; fail when the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {why or what}")


class DevhostProcess:
    """`python -m devhost start` for one app."""

    def __init__(
        self,
        app: str | Path,
        place: Path,
        *,
        port: int | None = None,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.place, self.port = place, port or free_port()
        self.log_path = place / "log"
        self.notes = place / "notes"
        self.notes.mkdir(parents=True, exist_ok=True)
        root = APPS / app if isinstance(app, str) else app
        command = [sys.executable, "-m", "devhost", *(arguments or ("start",)), "--port", str(self.port)]
        command += ["--script-root", str(root), "--data-dir", str(place / "data")]
        inherited = {k: v for k, v in os.environ.items() if not k.lower().startswith("azurewebjobs")}
        settings = {"NOTES": str(self.notes), "AzureWebJobsStorage": NO_STORAGE, "PYTHONUNBUFFERED": "1"}
        settings["FUNCTIONS_WORKER_RUNTIME"] = "python"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**inherited, **settings, **(environment or {})},
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_until_up(self) -> "DevhostProcess":
        until(self._is_up, why=f"the host answers\n{self.log}")
        return self

    def _is_up(self) -> bool:
        assert self.process.poll() is None, f"the host ended:\n{self.log}"
        try:
            return self.call("GET", "/admin/host/ping").status == 200
        except OSError:
            return False

    def call(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            pairs = response.getheaders()
            cookies = [value for name, value in pairs if name.lower() == "set-cookie"]
            return Answer(response.status, {n.lower(): v for n, v in pairs}, cookies, response.read())
        finally:
            connection.close()

    def durable(self, method: str, path: str, body: str | None = None) -> Answer:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return self.call(method, f"/runtime/webhooks/durabletask/{path}", body, headers)

    def start(self, orchestrator: str, instance_id: str, given: object = None) -> Answer:
        """Start an instance as the SDK's client does: the input is the JSON of its JSON."""
        body = None if given is None else json.dumps(json.dumps(given))
        return self.durable("POST", f"orchestrators/{orchestrator}/{instance_id}", body)

    def status(self, instance_id: str, query: str = "") -> Any:
        return self.durable("GET", f"instances/{instance_id}{query}").json()

    def ended(self, instance_id: str, *, seconds: float = 15) -> Any:
        """The status of an instance once it is Completed, Failed or Terminated."""

        def status() -> Any:
            answer = self.durable("GET", f"instances/{instance_id}")
            return answer.json() if answer.status == 200 else None

        return until(status, seconds=seconds, why=f"{instance_id} ends\n{self.log[-4000:]}")

    def noted(self, kind: str) -> list[str]:
        path = self.notes / kind
        return path.read_text().splitlines() if path.exists() else []

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
