"""The host's log: one time-stamped line a record on standard output, the app's records among its own."""

import io
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from devhost.app_settings import app_setting
from devhost.log_level import LogLevels

_ROOT, _HOST = logging.getLogger(), logging.getLogger("devhost")
WITHOUT_TIME = {"without_time": True}  # for `extra`: the line stands as it is, as in func's own output


class _Line(logging.Formatter):
    """`[2026-01-01T00:00:00.000Z] message`, and below it the traceback when there is one."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._text = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if hasattr(record, "without_time"):
            return message
        if record.exc_info or record.exc_text or record.stack_info:
            message = super().format(record)
        return self.stamped(record.created, message)

    def stamped(self, moment: float, message: str) -> str:
        """The line of a message at a moment in seconds since 1970."""
        second = int(moment)
        if second != self._second:  # most lines are of the second of the one before
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"[{self._text}.{int(moment * 1000) % 1000:03d}Z] {message}"


class _Lines(logging.StreamHandler[TextIO]):
    """Writes each record with one call, so that no other output comes into its line."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._line = _Line()
        self.setFormatter(self._line)
        self.levels: LogLevels | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(self.format(record) + "\n")
            self.stream.flush()
        except Exception:  # noqa: BLE001 (logging's own rule: a record that cannot be written stops nobody)
            self.handleError(record)

    @property
    def is_untouched(self) -> bool:
        """Whether formatter and filters are still the host's own."""
        return self.formatter is self._line and len(self.filters) == (self.levels is not None)

    def write_line(self, level: int, category: str, message: str) -> None:
        """Write what a record of this message would become."""
        if self.levels is not None and not self.levels.allows(level, category):
            return
        self.acquire()
        try:
            self.stream.write(self._line.stamped(time.time(), message) + "\n")
            self.stream.flush()
        except Exception:  # noqa: BLE001 (as for a record)
            self.handleError(logging.makeLogRecord({"msg": "A line of the host"}))
        finally:
            self.release()


def write_plainly(level: int, category: str, message: str) -> bool:
    """Write a line of the host without a record, which costs a third.

    Returns False, and writes nothing, when the host's logger has not just the host's own handler, as the app
    left it: whoever is in the way is to get a record. `category` is in lower case.
    """
    handlers = _HOST.handlers
    if len(handlers) != 1 or _HOST.filters or _HOST.propagate:
        return False
    [lines] = handlers
    if not isinstance(lines, _Lines) or not lines.is_untouched:
        return False
    lines.write_line(level, category, message)
    return True


def configure_log(*, verbose: bool) -> None:
    """Send every record to standard output; `verbose` shows the libraries' own chatter too.

    The host's records do not go by the root logger: that is the app's, as in the worker's process.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # no line is lost for a character in it
    handler = _Lines(sys.stdout)
    level = logging.DEBUG if verbose else logging.INFO
    for log in (_ROOT, _HOST):
        log.handlers[:] = [handler]
        log.setLevel(level)
    _HOST.propagate = False
    if not verbose:
        for chatty in ("azure.core", "azure.identity", "asyncio", "aiohttp.access", "urllib3"):
            logging.getLogger(chatty).setLevel(logging.WARNING)


def limit_log(levels: LogLevels) -> None:
    """Show what host.json's log levels let through.

    What the app logs below INFO comes with PYTHON_ENABLE_DEBUG_LOGGING only, as from the worker.
    """
    for handler in _ROOT.handlers:
        handler.addFilter(levels)
        if isinstance(handler, _Lines):
            handler.levels = levels
    asked = (app_setting("PYTHON_ENABLE_DEBUG_LOGGING") or "").lower()
    _ROOT.setLevel(logging.DEBUG if asked in ("1", "true", "t", "yes", "y") else logging.INFO)
    _HOST.setLevel(max(min(levels.lowest, logging.INFO), logging.DEBUG))


@contextmanager
def kept_log() -> Iterator[None]:
    """Undo what the app, while it is imported, does to the host's log: `dictConfig` switches off every logger
    that it does not name.
    """
    handlers, level, propagates = list(_HOST.handlers), _HOST.level, _HOST.propagate
    try:
        yield
    finally:
        _HOST.handlers[:], _HOST.propagate, _HOST.disabled = handlers, propagates, False
        _HOST.setLevel(level)
