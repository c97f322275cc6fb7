"""`make demo`: stopped in the middle it leaves nothing behind. That it plays to its end, .ci/run sees."""

import os
import signal
import sys
from pathlib import Path

from tests.local.checkout import Checkout

SECONDS = 60


def test_a_demo_that_is_stopped_leaves_no_process_and_no_data(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    demo = checkout.start(sys.executable, "-m", "local", "demo", TMPDIR=str(scratch))
    try:
        demo.wait_until(lambda: "order's card" in demo.log_text(), seconds=SECONDS)
        assert len(checkout.processes()) == 4
        os.kill(demo.pid, signal.SIGTERM)
        assert demo.wait(seconds=SECONDS) == 1
        assert "Stopped before the end" in demo.log_text()
        assert "Traceback" not in demo.log_text()
        assert checkout.processes() == {}
        assert list(scratch.iterdir()) == []
    finally:
        demo.kill()
