"""Azurite, the storage emulator: how it is started, and the connection string that leads to it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.node import node_binary, node_environment, tool
from local.ports import LOOPBACK, Ports, answers
from local.processes import ChildProcess, never

ACCOUNT = "devstoreaccount1"
# Azurite's published account key, the same on every machine; it opens nothing else.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
START_SECONDS = 30.0


def connection_string(ports: Ports) -> str:
    endpoints = {
        "BlobEndpoint": ports.azurite_blob_port,
        "QueueEndpoint": ports.azurite_queue_port,
        "TableEndpoint": ports.azurite_table_port,
    }
    return ";".join(
        [
            "DefaultEndpointsProtocol=http",
            f"AccountName={ACCOUNT}",
            f"AccountKey={ACCOUNT_KEY}",
            *(f"{name}=http://{LOOPBACK}:{port}/{ACCOUNT}" for name, port in endpoints.items()),
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Azurite:
    """A running Azurite."""

    process: ChildProcess
    ports: Ports

    @property
    def connection_string(self) -> str:
        return connection_string(self.ports)


def start_azurite(ports: Ports, *, data: Path, logs: Path) -> Azurite:
    """Start Azurite on ``ports``, keeping its data in ``data``; it may not be ready yet."""
    data.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [
        node_binary(),
        tool("azurite", "dist", "src", "azurite.js"),
        *("--location", str(data)),
        *("--blobHost", LOOPBACK, "--blobPort", str(ports.azurite_blob_port)),
        *("--queueHost", LOOPBACK, "--queuePort", str(ports.azurite_queue_port)),
        *("--tableHost", LOOPBACK, "--tablePort", str(ports.azurite_table_port)),
        "--skipApiVersionCheck",  # the storage SDK speaks a newer version than Azurite admits to
        "--disableTelemetry",
        "--silent",
    ]
    process = ChildProcess.start(
        "Azurite",
        command,
        log_path=logs / "azurite.log",
        directory=data,
        environment=node_environment(logs / "azurite-refused.log"),
    )
    return Azurite(process=process, ports=ports)


def wait_for_azurite(azurite: Azurite, *, is_cancelled: Callable[[], bool] = never) -> None:
    ports = (
        azurite.ports.azurite_blob_port,
        azurite.ports.azurite_queue_port,
        azurite.ports.azurite_table_port,
    )
    azurite.process.wait_until(
        lambda: all(map(answers, ports)), seconds=START_SECONDS, is_cancelled=is_cancelled
    )
