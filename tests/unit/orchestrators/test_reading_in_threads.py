"""Orchestrators run in threads: their first inputs may be read in two of them at one moment."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
# The first thread stops while msgspec asks for the members of a struct within the one that it reads; the
# second reads the same meanwhile.
TWO_FIRST_READS = """
import sys, threading
{names}
read, plain = {read}, {plain}
is_within, may_go_on = threading.Event(), threading.Event()
asked_for = 0

def stop_within(frame, event, _):
    global asked_for
    if event == "call" and frame.f_code.co_name == "get_class_annotations":
        asked_for += 1
        if asked_for == 2:
            is_within.set()
            may_go_on.wait(10)

def first():
    sys.setprofile(stop_within)
    read(plain)
    sys.setprofile(None)
    is_within.set()

thread = threading.Thread(target=first)
thread.start()
is_within.wait(10)
read(plain)
may_go_on.set()
thread.join()
print("asked for", asked_for)
"""
JOB = {
    "jobId": "a" * 32,
    "kind": "order_laptop",
    "requestedAt": "2026-03-02T10:00:00Z",
    "requestedBy": {"channelId": "msteams", "conversationId": "c", "serviceUrl": "https://smba.example/"},
}
SAID = {"text": "It is there."}
OURS = "from orchestrators import approval, follow_up, steps"
BARE = """
import msgspec

class Inner(msgspec.Struct):
    text: str

class Outer(msgspec.Struct):
    inner: Inner
"""


def read_in_two_threads(read: str, plain: object, *, names: str) -> "subprocess.CompletedProcess[str]":
    code = TWO_FIRST_READS.format(names=names, read=read, plain=repr(plain))
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("read", "plain"),
    [
        ("follow_up.read_following", {"job": JOB}),
        ("approval.read_following", {"job": JOB}),
        ("approval.read_settled", {"ended": {"outcome": "rejected", "tell": SAID}}),
        ("steps.read_outcome", {"outcome": "waiting", "state": {}, "checkIn": "PT1S", "tell": SAID}),
        ("steps.read_ended", {"outcome": "cancelled", "tell": SAID}),
    ],
)
def test_two_threads_may_read_the_first_of_a_kind_at_one_moment(read: str, plain: object) -> None:
    done = read_in_two_threads(read, plain, names=OURS)
    assert (done.returncode, done.stdout) == (0, "asked for 0\n"), done.stderr


def test_a_struct_that_msgspec_does_not_know_yet_takes_the_process_down() -> None:
    """Where this fails, msgspec has mended it, and nothing needs a reader any more."""
    bare = read_in_two_threads(
        "lambda plain: msgspec.convert(plain, Outer)", {"inner": {"text": ""}}, names=BARE
    )
    assert bare.returncode == -signal.SIGSEGV, bare.stdout + bare.stderr
