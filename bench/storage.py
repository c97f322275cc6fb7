"""An Azurite of the bench's own, on the processor of the other side."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.programs import processors, started_on
from local.azurite import start_azurite, wait_for_azurite
from local.ports import Ports


@contextmanager
def running_azurite(logs: Path, *, debug_log: Path | None = None) -> Iterator[str]:
    """Its connection string; its data is gone afterwards. ``debug_log``: where it tells of each request."""
    with tempfile.TemporaryDirectory(prefix="afterword-bench-") as data:
        with started_on(processors()[1]):
            azurite = start_azurite(
                Ports.free(), data=Path(data), logs=logs, in_memory=True, debug_log=debug_log
            )
        try:
            wait_for_azurite(azurite)
            yield azurite.connection_string
        finally:
            azurite.process.stop()
