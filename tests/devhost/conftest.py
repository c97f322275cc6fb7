"""Devhost processes and simulations for the tests of this directory."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from devhost.storage.storage_connection import StorageConnections
from tests.devhost.host_process import DevhostProcess
from tests.devhost.orchestrations import TRIES, Orchestrator, Simulate, app_of
from tests.devhost.queue_trigger import Azurite, QueueTrigger
from tests.devhost.simulation import Simulation, durable_functions

StartHost = Callable[..., DevhostProcess]


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[StartHost]:
    """Starts hosts that share one data directory; those still alive at the end are killed."""
    started: list[DevhostProcess] = []

    def start(app: str | Path = "everything", *, place: Path = tmp_path, **options: Any) -> DevhostProcess:
        host = DevhostProcess(app, place, **options)
        started.append(host)
        return host

    yield start
    for host in started:
        host.kill()


@pytest.fixture
async def trigger(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QueueTrigger]:
    """A queue of the test's own on the session's Azurite, and what listens to it."""
    monkeypatch.setenv("Store", azurite.connection_string)
    storage = StorageConnections()
    made = QueueTrigger(storage, f"q{uuid.uuid4().hex[:12]}")
    yield made
    for listener in made.listeners:
        await listener.stop(5)
    await storage.close()


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Simulate]:
    """Makes simulations of apps of orchestrators; each has a task hub of its own."""
    TRIES.clear()
    numbers, made = count(), list[Simulation]()

    def make(*orchestrators: Orchestrator, **options: Any) -> Simulation:
        path = tmp_path / f"{next(numbers)}.sqlite"
        made.append(Simulation(path, durable_functions(app_of(*orchestrators)), **options))
        return made[-1]

    yield make
    for simulation in made:
        simulation.hub.close()


@pytest.fixture(scope="package")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    """One running host on the fixture app, with its storage away; for tests that leave it as it is."""
    host = DevhostProcess("everything", tmp_path_factory.mktemp("everything")).wait_until_up()
    yield host
    assert host.stop() == 0, host.log


@pytest.fixture(scope="package")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    """One running host on the app whose functions call the durable client; its instances are many tests'."""
    host = DevhostProcess("managed", tmp_path_factory.mktemp("managed")).wait_until_up()
    yield host
    assert host.stop() == 0, host.log
