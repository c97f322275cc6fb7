"""Contract B1 and B6: the two lines of each invocation, however they are written."""

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from devhost.host_json import HostJson
from devhost.host_log import configure_log, limit_log
from devhost.invocation.invocation_log import log_begin, log_end
from devhost.log_level import LogLevels
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until
from tests.devhost.written_app import write_app

LINE = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "


@contextmanager
def hosts_log() -> Iterator[io.StringIO]:
    """What the host's log writes, on a root logger that is put back afterwards.

    No fixture: pytest puts handlers of its own onto the root logger when the test itself begins.
    """
    root, host = logging.getLogger(), logging.getLogger("devhost")
    before, level, host_level = list(root.handlers), root.level, host.level
    output = io.StringIO()
    try:
        with redirect_stdout(output):
            configure_log(verbose=False)
            yield output
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        host.setLevel(host_level)
        host.handlers.clear()
        host.propagate = True


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def log_one(*, failed: bool = False) -> None:
    log_begin("one", "an-id")
    log_end("one", "an-id", 0.0123, failed=failed, shown=ValueError("100%s") if failed else None)


def test_an_invocation_is_two_lines() -> None:
    with hosts_log() as output:
        log_one()
        begin, end = output.getvalue().splitlines()
        assert re.fullmatch(LINE + r"Executing 'Functions\.one' \(Id=an-id\)", begin)
        assert re.fullmatch(LINE + r"Executed 'Functions\.one' \(Succeeded, Id=an-id, Duration=12ms\)", end)


def test_a_failure_has_its_traceback() -> None:
    with hosts_log() as output:
        log_one(failed=True)
        assert re.search(r"\(Failed, Id=an-id, Duration=12ms\)\nValueError: 100%s\n$", output.getvalue())


def test_an_app_that_listens_gets_records_and_the_lines_are_the_same() -> None:
    with hosts_log() as output:
        log_one()
        plain = output.getvalue()
        collector = Collector()
        logging.getLogger("devhost").addHandler(collector)
        log_one()
        written = output.getvalue()[len(plain) :]
        assert re.sub(LINE, "", written) == re.sub(LINE, "", plain)
        begin, end = collector.records
        assert begin.getMessage() == "Executing 'Functions.one' (Id=an-id)"
        assert (end.levelname, end.name) == ("INFO", "devhost")
        assert logging.Formatter("%(threadName)s %(process)s %(lineno)d %(asctime)s %(message)s").format(end)


def test_a_filter_or_formatter_of_the_app_is_asked() -> None:
    with hosts_log() as output:
        [handler] = logging.getLogger("devhost").handlers
        handler.addFilter(lambda record: "Executed" in record.getMessage())
        log_one()
        assert len(output.getvalue().splitlines()) == 1
        handler.setFormatter(logging.Formatter("mine: %(message)s"))
        log_one()
        assert output.getvalue().splitlines()[1].startswith("mine: Executed")


def test_the_log_levels_of_host_json_hold_for_them() -> None:
    with hosts_log() as output:
        levels = {"Function.one": "Warning", "Function": "Information", "default": "Error"}
        limit_log(LogLevels.read(HostJson({"logging": {"logLevel": levels}})))
        log_one()
        assert output.getvalue() == ""
        log_begin("two", "an-id")
        log_one(failed=True)
        assert [line[27:36] for line in output.getvalue().splitlines()[:2]] == ["Executing", "Executed "]


def test_they_are_no_business_of_the_root_logger_which_is_the_apps() -> None:
    with hosts_log() as output:
        collector = Collector()
        logging.getLogger().addHandler(collector)
        logging.getLogger().setLevel(logging.CRITICAL)
        log_one()
        log_one(failed=True)
        assert collector.records == []
        assert output.getvalue().count("Executed ") == 2


DICT_CONFIG = """
import logging.config
logging.config.dictConfig({
    "version": 1, "root": {"level": "WARNING", "handlers": ["c"]},
    "formatters": {"f": {"format": "mine: %(message)s"}},
    "handlers": {"c": {"class": "logging.StreamHandler", "formatter": "f"}},
})
app = func.FunctionApp()
@app.route(route="one")
def one(req: func.HttpRequest) -> str:
    logging.warning("careful")
    return "one"
"""


def test_an_app_that_configures_its_own_log_does_not_silence_the_host(
    start_host: StartHost, tmp_path: Path
) -> None:
    for arguments in (("start",), ("start", "--verbose")):
        app = write_app(tmp_path / arguments[-1], DICT_CONFIG)
        host = start_host(app, place=tmp_path / f"of{arguments[-1]}", arguments=arguments).wait_until_up()
        assert host.call("GET", "/api/one").text == "one"
        until(lambda: "Executed 'Functions.one' (Succeeded" in host.log)  # noqa: B023 (called at once)
        assert "Job host started" in host.log
        assert "mine: careful" in host.log.splitlines()
        assert host.stop() == 0
