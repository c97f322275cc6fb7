"""An Azurite of the bench's own, on the processor of the other side."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.programs import processors, started_on
from local.azurite import start_azurite, wait_for_azurite
from local.ports import Ports


@contextmanager
def running_azurite(logs: Path) -> Iterator[str]:
    """Its connection string; its data is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as data:
        with started_on(processors()[1]):
            azurite = start_azurite(Ports.free(), data=Path(data), logs=logs, in_memory=True)
        try:
            wait_for_azurite(azurite)
            yield azurite.connection_string
        finally:
            azurite.process.stop()
