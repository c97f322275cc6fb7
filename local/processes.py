"""Child processes of the local stack: each in a group of its own, watched until ready, stopped whole."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

POLL_SECONDS = 0.05
STOP_SECONDS = 15.0


class StackError(Exception):
    """Something of the local stack failed; the message says what, and how to mend it where that is known."""


def never() -> bool:
    return False


class ChildProcess:
    """One running program of the stack, with its log file."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process
        self._was_asked = False
        self._is_over = False

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        directory: Path,
        environment: Mapping[str, str],
        inherited: Sequence[int] = (),
    ) -> "ChildProcess":
        """Start ``command`` with ``environment`` on top of our own; its output goes to ``log_path``.

        The log of the time before is kept beside it, as ``.log.old``. The child keeps the open files
        whose descriptors are ``inherited``, for as long as it lives.
        """
        log_path.parent.mkdir(parents=True, exist_ok=True)
        if log_path.exists():
            log_path.replace(log_path.with_suffix(".log.old"))
        # Should we be killed without a chance to tidy up, the kernel tells the child to stop.
        setpriv = shutil.which("setpriv")
        dies_with_us = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*dies_with_us, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**os.environ, **environment},
                pass_fds=inherited,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop the children in order
            )
        return cls(name, process, log_path)

    @property
    def pid(self) -> int:
        """The process id, which is the id of the child's process group too."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait_until(
        self, is_ready: Callable[[], bool], *, seconds: float, is_cancelled: Callable[[], bool] = never
    ) -> None:
        """Poll ``is_ready``; raise StackError if the child ends first or the time is up."""
        deadline = time.monotonic() + seconds
        while not (is_cancelled() or is_ready()):
            if self.exit_code is not None:
                raise StackError(self.obituary())
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready within {seconds:g} s.\n{self.log_tail()}")
            time.sleep(POLL_SECONDS)

    def wait(self, *, seconds: float) -> int:
        """The exit code, once it has ended; StackError if it has not in time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise StackError(f"{self.name} did not end within {seconds:g} s.\n{self.log_tail()}") from None

    def obituary(self) -> str:
        """What to say of a child that ended though nobody asked it to."""
        return f"{self.name} stopped with exit code {self.exit_code}; the end of its log:\n{self.log_tail()}"

    def log_text(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def log_tail(self, lines: int = 20) -> str:
        tail = self.log_text().splitlines()[-lines:]
        return "\n".join([*(f"    {line}" for line in tail), f"    ({self.log_path})"])

    def ask_to_stop(self) -> None:
        """SIGTERM to the child alone, and once: at a second one Azurite drops what it was about to save."""
        if not self._was_asked and self.exit_code is None:
            self._process.terminate()
        self._was_asked = True

    def stop(self, *, seconds: float = STOP_SECONDS) -> None:
        """Stop the child as it likes best, and whatever of its group is left after ``seconds`` by force."""
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, now."""
        if self._is_over:  # the group's number may belong to somebody else by now
            return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._is_over = True


def stop_all(children: Iterable[ChildProcess]) -> None:
    """Ask all at once, then wait for each."""
    started = list(children)
    for child in started:
        child.ask_to_stop()
    for child in started:
        child.stop()
