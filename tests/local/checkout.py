"""A checkout of its own for a test that runs the commands: the same code, other settings, other data."""

import os
import shutil
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from local.functions_host import ROOT
from local.ports import Ports
from local.processes import ChildProcess

# What a developer's own checkout has besides the code.
THEIR_OWN = {".git", ".local", ".devhost", "local.settings.json", "test-artifacts"}
INSTALLED = ".installed"  # what make leaves where all requirements are installed


class Checkout:
    """Links to everything that is in the real one, in a directory of its own."""

    def __init__(self, place: Path) -> None:
        self.root = place / "checkout"
        self.root.mkdir()
        self.ports = Ports.free()
        self.settings_file = self.root / "local.settings.json"
        self._started = 0
        _link_all(ROOT, self.root, but={*THEIR_OWN, ".venv", "local"})
        _link_all(ROOT / ".venv", self.root / ".venv", but={INSTALLED})
        _link_all(ROOT / "local", self.root / "local", but={"node_modules"})
        _link_all(ROOT / "local" / "node_modules", self.root / "local" / "node_modules", but={INSTALLED})
        # Marks of our own, newer than all requirements: make must not begin to install through the links.
        (self.root / ".venv" / INSTALLED).touch()
        (self.root / "local" / "node_modules" / INSTALLED).touch()
        shutil.copy(ROOT / "local.settings.json.example", self.settings_file)

    def replace(self, name: str, text: str) -> None:
        """Give this checkout a file of its own in the place of a link."""
        (self.root / name).unlink()
        (self.root / name).write_text(text, encoding="utf-8")

    def start(self, *command: str | Path, **environment: str) -> ChildProcess:
        self._started += 1
        own_make = {"MAKELEVEL": "0", "MAKEFLAGS": ""}  # though `make test` may have started us
        ports = {name.upper(): str(port) for name, port in asdict(self.ports).items()}
        return ChildProcess.start(
            " ".join(map(str, command)),
            command,
            log_path=self.root / f"output-{self._started}.log",
            directory=self.root,
            environment={"PYTHONUNBUFFERED": "1", **own_make, **ports, **environment},
        )

    def processes(self) -> dict[int, str]:
        """Who runs here: process id and command line of all that name this place, or were started in it."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                directory = (entry / "cwd").readlink()
            except OSError:  # it has just ended, or has no more than a name left
                continue
            if str(self.root) in command or directory.is_relative_to(self.root):
                found[int(entry.name)] = command
        return found


def _link_all(source: Path, target: Path, *, but: Collection[str]) -> None:
    target.mkdir(exist_ok=True)
    for entry in source.iterdir():
        if entry.name not in but:
            (target / entry.name).symlink_to(entry)
