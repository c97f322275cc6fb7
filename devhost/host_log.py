"""The host's log: one time-stamped line a record on standard output, the app's records among its own."""

import io
import logging
import sys
from datetime import UTC, datetime

WITHOUT_TIME = {"without_time": True}  # for `extra`: the line stands as it is, as in func's own output


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return record.getMessage() if hasattr(record, "without_time") else super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (logging's name)
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(record.msecs):03d}Z"


def configure_log(*, verbose: bool) -> None:
    """Send every record to standard output; `verbose` shows the libraries' own chatter too."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # no line is lost for a character in it
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Line("[%(asctime)s] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    if not verbose:
        for chatty in ("azure.core", "azure.identity", "asyncio", "aiohttp.access", "urllib3"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
