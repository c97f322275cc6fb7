"""The two lines of each invocation: it begins, it has ended.

They are a third of what a short invocation costs the host. So they are written without a record where nobody
asks for one, and their records leave out the host's own source line, its thread and its process.
"""

import logging
import time

from devhost.host_log import write_plainly

logger = logging.getLogger("devhost")

_BLANK = {
    **logging.makeLogRecord({}).__dict__,
    "name": logger.name,
    "threadName": "MainThread",
    "processName": "MainProcess",
}


class _Record(logging.LogRecord):
    """A record made of its message alone; formatters find all that they may ask for."""

    def __init__(
        self,
        function_name: str,
        level: int,
        message: str,
        error: BaseException | None,
    ) -> None:
        now = time.time()
        self.__dict__ = {
            **_BLANK,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": message,
            "args": (),
            "created": now,
            "msecs": int(now * 1000) % 1000,
            "category": f"Function.{function_name}",
            "exc_info": (type(error), error, error.__traceback__) if error else None,
        }


def log_begin(function_name: str, invocation_id: str) -> None:
    """Say that an invocation begins."""
    _log(logging.INFO, function_name, f"Executing 'Functions.{function_name}' (Id={invocation_id})")


def log_end(
    function_name: str, invocation_id: str, seconds: float, *, failed: bool, shown: BaseException | None
) -> None:
    """Say how an invocation ended, with the traceback of `shown`."""
    level, outcome = (logging.ERROR, "Failed") if failed else (logging.INFO, "Succeeded")
    duration = f"Duration={int(seconds * 1000)}ms"
    message = f"Executed 'Functions.{function_name}' ({outcome}, Id={invocation_id}, {duration})"
    _log(level, function_name, message, shown)


def _log(level: int, function_name: str, message: str, shown: BaseException | None = None) -> None:
    if not logger.isEnabledFor(level):
        return
    if shown is not None or not write_plainly(level, f"function.{function_name}".lower(), message):
        logger.handle(_Record(function_name, level, message, shown))
