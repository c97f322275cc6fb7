"""Notices that a file of the app has changed, for `--watch`.

It looks at sizes and times four times a second instead of asking the kernel: that works on every file system,
bind mounts and network shares included, and costs a few milliseconds a look for an app of a thousand files.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from devhost.errors import HostStartError
from devhost.host_json import HostJson

_LOOK_SECONDS = 0.25
_SETTINGS = ("host.json", "local.settings.json")
_NOT_SOURCE = frozenset(("__pycache__", "node_modules", ".git", ".python_packages"))

Seen = dict[str, tuple[int, int]]


class SourceWatch:
    """The files whose change restarts the app: *.py, the settings, and some by their name."""

    def __init__(
        self,
        script_root: Path,
        directories: Sequence[Path] = (),
        names: Sequence[str] = (),
        leave_out: Sequence[Path] = (),
    ) -> None:
        self._directories = [script_root, *directories]
        self._names = frozenset(name.lower() for name in (*_SETTINGS, *names))
        self._leave_out = frozenset(str(path) for path in leave_out)
        self._seen = self._look()

    async def changed(self) -> str:
        """Wait for a change and until no more follows it; returns the path that changed first."""
        first = ""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = await asyncio.to_thread(self._look)
            if now == self._seen and first:
                return first
            if now != self._seen:
                first = first or min(path for path, _ in set(now.items()) ^ set(self._seen.items()))
                self._seen = now

    def _look(self) -> Seen:
        return {path: stamp for directory in self._directories for path, stamp in self._files(str(directory))}

    def _files(self, directory: str) -> Iterator[tuple[str, tuple[int, int]]]:
        try:
            entries = list(os.scandir(directory))
        except OSError:  # it went away meanwhile, or never was
            return
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _NOT_SOURCE and entry.path not in self._leave_out:
                    yield from self._files(entry.path)
            elif entry.name.endswith(".py") or entry.name.lower() in self._names:
                try:
                    status = entry.stat()
                except OSError:
                    continue
                yield entry.path, (status.st_mtime_ns, status.st_size)


def watch_of(host_json: HostJson, script_root: Path, data_dir: Path) -> SourceWatch:
    """The watch that host.json's watchDirectories and watchFiles describe. Raises HostStartError."""
    directories = [(script_root / name).resolve() for name in host_json.get_texts("watchDirectories")]
    for directory in directories:
        if not directory.is_dir():
            raise HostStartError(f"host.json: watchDirectories: {directory} is not a directory.")
    return SourceWatch(script_root, directories, host_json.get_texts("watchFiles"), [data_dir])
