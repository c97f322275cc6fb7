"""Azurite, the storage emulator: how it is started, and the connection string that leads to it."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.node import node_binary, node_environment, tool
from local.ports import LOOPBACK, Ports, answers
from local.processes import ChildProcess, StackError, never

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


def program() -> Path:
    return tool("azurite", "dist", "src", "azurite.js")


@contextmanager
def locked(data: Path) -> Iterator[int]:
    """Hold the lock on ``data``; StackError if another Azurite, or who starts one, holds it.

    The descriptor that comes out is the lock: a child that inherits it holds it until it ends.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        opened = (data / "in-use.lock").open("a")
    except OSError as error:
        raise StackError(f"{data} cannot hold data ({error.strerror}): choose another place") from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"A stack is running already with the data in {data}: stop it with Ctrl-C where it was "
                "started, or give this one other ports, and data of its own with "
                "`.venv/bin/python -m local run --data-dir DIRECTORY`"
            ) from None
        yield lock.fileno()


def start_azurite(
    ports: Ports, *, data: Path, logs: Path, in_memory: bool = False, debug_log: Path | None = None
) -> Azurite:
    """Start Azurite on ``ports``, keeping its data in ``data``; it may not be ready yet.

    ``in_memory``: it writes nothing to disk, and so is quicker. ``debug_log``: what it is asked.
    StackError if the data is another Azurite's: two of them would overwrite what the other stored.
    """
    command: list[str | Path] = [
        node_binary(),
        program(),
        *(("--inMemoryPersistence",) if in_memory else ("--location", str(data))),
        *("--blobHost", LOOPBACK, "--blobPort", str(ports.azurite_blob_port)),
        *("--queueHost", LOOPBACK, "--queuePort", str(ports.azurite_queue_port)),
        *("--tableHost", LOOPBACK, "--tablePort", str(ports.azurite_table_port)),
        "--skipApiVersionCheck",  # the storage SDK speaks a newer version than Azurite admits to
        "--disableTelemetry",
        "--silent",
        *(("--debug", debug_log) if debug_log else ()),
    ]
    with locked(data) as lock:
        process = ChildProcess.start(
            "Azurite",
            command,
            log_path=logs / "azurite.log",
            directory=data,
            environment=node_environment(logs / "azurite-refused.log"),
            inherited=[lock],
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
