"""One process a task hub, held by an advisory lock that the kernel drops when the process dies."""

import fcntl
from pathlib import Path
from typing import TextIO

from devhost.errors import HostStartError


def hold_lock(path: Path) -> TextIO:
    """Take the lock for as long as the returned file stays open. Raises HostStartError when it is taken."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise HostStartError(
            f"Another devhost process is using this task hub ({path}). Stop it first."
        ) from None
    return file
