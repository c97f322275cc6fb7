"""Fixtures for every suite that needs a real process: Azurite here, the whole stack in tests/e2e."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite, start_azurite, wait_for_azurite
from local.ports import Ports
from local.processes import StackError


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A real Azurite on ports of its own, with data of its own: ``azurite.connection_string`` leads to it."""
    place = tmp_path_factory.mktemp("azurite")
    try:
        started = start_azurite(Ports.free(), data=place / "data", logs=place)
    except StackError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        wait_for_azurite(started)
        yield started
    finally:
        started.process.stop()
