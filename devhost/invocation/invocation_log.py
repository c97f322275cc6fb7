"""The two lines of each invocation: it begins, it has ended.

They are half of what a short invocation costs the host, so their records leave out what nobody reads: the
host's own source line, its thread and its process.
"""

import logging
import time
import types

logger = logging.getLogger("devhost")

ExceptionInfo = tuple[type[BaseException], BaseException, types.TracebackType | None]

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
        arguments: tuple[object, ...],
        error: BaseException | None,
    ) -> None:
        now = time.time()
        self.__dict__ = {
            **_BLANK,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "msg": message,
            "args": arguments,
            "created": now,
            "msecs": int(now * 1000) % 1000,
            "category": f"Function.{function_name}",
            "exc_info": (type(error), error, error.__traceback__) if error else None,
        }


def log_begin(function_name: str, invocation_id: str) -> None:
    """Say that an invocation begins."""
    if logger.isEnabledFor(logging.INFO):
        arguments = (function_name, invocation_id)
        logger.handle(
            _Record(function_name, logging.INFO, "Executing 'Functions.%s' (Id=%s)", arguments, None)
        )


def log_end(
    function_name: str, invocation_id: str, seconds: float, *, failed: bool, shown: BaseException | None
) -> None:
    """Say how an invocation ended, with the traceback of `shown`."""
    level = logging.ERROR if failed else logging.INFO
    if logger.isEnabledFor(level):
        outcome = "Failed" if failed else "Succeeded"
        arguments = (function_name, outcome, invocation_id, seconds * 1000)
        message = "Executed 'Functions.%s' (%s, Id=%s, Duration=%dms)"
        logger.handle(_Record(function_name, level, message, arguments, shown))
