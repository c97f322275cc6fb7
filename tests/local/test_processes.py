"""Child processes are stopped whole, and no more roughly than they need."""

import sys
import time
from pathlib import Path

import pytest

from local.processes import ChildProcess, StackError, stop_all

COUNTS_ITS_SIGNALS = """
import signal, time
received = []
signal.signal(signal.SIGTERM, lambda *_: received.append(1))
print("ready", flush=True)
while not received:
    time.sleep(0.01)
time.sleep(0.5)  # as one that has something to save
print(f"{len(received)} SIGTERM", flush=True)
"""
LEAVES_A_CHILD = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, "ready", flush=True)
"""
READY_SECONDS = 20


def start(script: str, place: Path) -> ChildProcess:
    child = ChildProcess.start(
        "a child",
        [sys.executable, "-c", script],
        log_path=place / "child.log",
        directory=place,
        environment={},
    )
    child.wait_until(lambda: "ready" in child.log_text(), seconds=READY_SECONDS)
    return child


def test_a_child_that_saves_something_is_asked_to_stop_once(tmp_path: Path) -> None:
    child = start(COUNTS_ITS_SIGNALS, tmp_path)
    stop_all([child])
    assert child.exit_code == 0
    assert "1 SIGTERM" in child.log_text()


def test_what_a_child_leaves_behind_is_stopped_with_it(tmp_path: Path) -> None:
    child = start(LEAVES_A_CHILD, tmp_path)
    left_behind = int(child.log_text().split()[0])
    child.stop()
    deadline = time.monotonic() + READY_SECONDS
    while is_alive(left_behind):  # the kernel takes a moment
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def test_a_child_that_ends_before_it_is_ready_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"(?s)a child stopped with exit code 3.*cannot go on"):
        start("import sys; print('cannot go on'); sys.exit(3)", tmp_path)
