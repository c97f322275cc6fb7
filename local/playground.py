"""The Microsoft 365 Agents Playground, a stand-in for Teams: how it is started, and who lives in it.

playground.json is its configuration. In it a user's id is their Entra object id too, for the Playground
finds the user of a new conversation by the one, and Teams' own callers name them by the other.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.node import HERE, node_binary, node_environment, tool
from local.ports import LOOPBACK, Ports, body_at
from local.processes import ChildProcess, StackError, never

CONFIGURATION = HERE / "playground.json"
START_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Person:
    """The user who sits at the Playground."""

    tenant_id: str
    object_id: str


def person_at_the_playground() -> Person:
    configuration = json.loads(CONFIGURATION.read_text(encoding="utf-8"))
    return Person(tenant_id=configuration["tenantId"], object_id=configuration["currentUser"]["aadObjectId"])


def playground_url(ports: Ports) -> str:
    return f"http://{LOOPBACK}:{ports.playground_port}"


def connector_url(ports: Ports) -> str:
    """The service URL that the Playground gives in its turns."""
    return f"http://localhost:{ports.playground_port}/_connector"


def program() -> Path:
    return tool("@microsoft", "m365agentsplayground", "cli.js")


def start_playground(ports: Ports, *, logs: Path) -> ChildProcess:
    """Start the Playground for the app on ``ports.functions_port``; it may not be ready yet."""
    place = logs / "playground"  # it writes its recordings below its working directory
    place.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        node_binary(),
        program(),
        "start",
        *("--channel-id", "msteams"),
        *("--port", str(ports.playground_port)),
        *("--app-endpoint", f"http://{LOOPBACK}:{ports.functions_port}/api/messages"),
        "--enable-events-recording",
        "--disable-telemetry",
    ]
    return ChildProcess.start(
        "the Playground",
        command,
        log_path=logs / "playground.log",
        directory=place,
        environment={
            **node_environment(logs / "playground-refused.log"),
            "TEAMSAPPTESTER_BROWSER": "none",
            "M365_AGENTS_PLAYGROUND_CONFIG_PATH": str(CONFIGURATION),
        },
    )


def wait_for_playground(
    playground: ChildProcess, ports: Ports, *, is_cancelled: Callable[[], bool] = never
) -> None:
    """Wait until it listens, and make sure that it does so where it was told to."""
    port = ports.playground_port

    def listens() -> bool:
        log = playground.log_text()
        if "Listening on" in log and f"Listening on {port}" not in log:
            raise StackError(f"The Playground does not listen on port {port}.\n{playground.log_tail()}")
        return body_at(port, "/_debug/ping") == b"pong"

    playground.wait_until(listens, seconds=START_SECONDS, is_cancelled=is_cancelled)
