"""SIGINT and SIGTERM: they stop the host, and end the process when it does not stop."""

import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LATE = b"devhost does not stop, for something blocks it: it ends now.\n"


class StopSignal:
    """Knows whether a signal has come, and whom to tell.

    The loop cannot be asked to watch for signals: the app runs on it, too, and may block it. A handler of
    Python's is called whatever the loop does.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._stop: Callable[[], object] | None = None
        self._last_seconds = 0.0

    def listen(self) -> None:
        """Take the signals from now on, those that came during a restart included."""
        for number in _SIGNALS:
            signal.signal(number, lambda *_: self._ask())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def tell(self, stop: Callable[[], object], *, last_seconds: float) -> None:
        """Call `stop` at a signal. Before this, and `last_seconds` after a signal, the process just ends."""
        self._stop, self._last_seconds = stop, last_seconds

    def hold_back(self) -> None:
        """Let signals wait for the process image that takes over; when one has come already, end."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        if self.is_asked:
            os._exit(0)

    def _ask(self) -> None:
        if self._stop is None:
            os._exit(0)
        if not self.is_asked:
            self.is_asked = True
            late = threading.Timer(self._last_seconds, _end)
            late.daemon = True
            late.start()
            with suppress(RuntimeError):  # the loop is closed: nothing is left to stop
                self._stop()


def _end() -> None:
    """End without the log and without waiting for a reader: either may be what blocks."""
    if select.select([], [2], [], 0)[1]:
        os.write(2, _LATE)
    os._exit(0)
