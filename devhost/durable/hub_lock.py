"""Who runs a task hub: one process, by an advisory lock that the kernel drops when the process dies."""

import asyncio
import fcntl
from pathlib import Path

from devhost.errors import HostStartError

_LOOK_AGAIN_SECONDS = 0.2


class HubLock:
    """The lock on one hub; whoever has it runs the hub's orchestrations and timers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a+")

    def take(self) -> bool:
        """Take it unless another process has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def require(self) -> None:
        """Take it. Raises HostStartError when another process has it."""
        if not self.take():
            raise HostStartError(
                f"Another devhost process is using this task hub ({self._path}). Stop it first, or share the "
                "hub with it: start both with --shares-hub."
            )

    async def wait(self) -> None:
        """Take it as soon as the process that has it is gone."""
        while not self.take():  # noqa: ASYNC110 (the kernel tells nobody that a lock is free)
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def close(self) -> None:
        self._file.close()
