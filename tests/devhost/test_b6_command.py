"""Contract B6: the command line, the output of a start, and the exit codes."""

import logging
import signal
import socket
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from devhost.app_settings import app_setting
from devhost.banner import banner
from devhost.command.arguments import read_arguments
from devhost.command.listening import listening_socket
from devhost.command.start import find_script_root, name_functions, start
from devhost.errors import HostStartError
from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.stop_signal import StopSignal
from tests.devhost.conftest import StartHost
from tests.devhost.written_app import ONE, write_app


def test_a_broken_or_missing_file_is_one_line_and_a_failure(start_host: StartHost, tmp_path: Path) -> None:
    broken = start_host(write_app(tmp_path / "broken", ONE, host_json="{"), place=tmp_path / "1")
    empty = tmp_path / "empty"
    empty.mkdir()
    missing = start_host(empty, place=tmp_path / "2")
    assert broken.process.wait(15) == 1
    assert "host.json is not valid JSON" in broken.log
    assert missing.process.wait(15) == 1
    assert "host.json is missing" in missing.log
    for host in (broken, missing):
        assert len(host.log.strip().splitlines()) == 1, host.log


def test_a_taken_port_is_one_line_and_a_failure(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    first = start_host(app, place=tmp_path / "1").wait_until_up()
    second = start_host(app, place=tmp_path / "2", port=first.port)
    assert second.process.wait(15) == 1
    assert f"Port {first.port} is unavailable" in second.log
    assert "Traceback" not in second.log


def test_a_second_host_on_one_task_hub_is_refused(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    first = start_host(app).wait_until_up()
    second = start_host(app)
    assert second.process.wait(15) == 1
    assert "Another devhost process is using this task hub" in second.log
    assert first.stop() == 0
    assert start_host(app).wait_until_up().stop() == 0


def test_a_fault_that_takes_the_host_down_leaves_its_stacks_in_the_log(
    start_host: StartHost, tmp_path: Path
) -> None:
    crash = (
        "import ctypes\n@app.route(route='crash')\n"
        "async def crash(req: func.HttpRequest) -> str:\n    return ctypes.string_at(0).decode()\n"
    )
    host = start_host(write_app(tmp_path / "app", ONE + crash)).wait_until_up()
    # Not by a signal from outside: the stack of a thread that runs meanwhile cannot be read.
    with suppress(OSError, HTTPException):
        host.call("GET", "/api/crash")
    assert host.process.wait(15) == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in host.log
    assert "function_app.py" in host.log
    assert "devhost/__main__.py" in host.log


def test_only_the_named_functions_run_and_host_start_is_start(start_host: StartHost, tmp_path: Path) -> None:
    two = "@app.route(route='two')\ndef two(req: func.HttpRequest) -> str:\n    return 'two'\n"
    app = write_app(
        tmp_path / "app",
        ONE + two,
        host_json='{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}',
    )
    host = start_host(app, arguments=("host", "start", "--functions", "TWO")).wait_until_up()
    assert host.call("GET", "/two").text == "two"
    assert host.call("GET", "/one").status == 404
    assert f"two: http://localhost:{host.port}/two" in host.log


def test_flags_are_those_of_func_and_its_two_names_of_the_command() -> None:
    line = "host start -p 7072 --address ::1 --cors a,b --cors-credentials -t 60 --enableAuth"
    given = read_arguments([*line.split(), "--functions", "one", "two", "--verbose", "--python"])
    assert (given.port, given.address, given.cors, given.start_seconds) == (7072, "::1", "a,b", 60)
    assert given.functions == ["one", "two"]
    assert given.cors_credentials
    assert given.enable_auth
    assert given.verbose
    assert given.is_python
    assert given.ignored == []
    said_nothing = read_arguments(["start"])
    assert (said_nothing.port, said_nothing.address, said_nothing.cors) == (None, None, None)
    assert not read_arguments(["start"]).enable_auth
    assert read_arguments(["start", "--enable-auth"]).enable_auth


def test_what_means_something_to_func_only_is_taken_and_named() -> None:
    arguments = ["start", "--no-build", "--language-worker", "x", "--user-log-level=Debug", "--runtime", "v"]
    assert read_arguments(arguments).ignored == [
        "--language-worker",
        "--no-build",
        "--runtime",
        "--user-log-level",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, "4.0.0+devhost"),
        (["--help"], 0, "usage: devhost"),
        (["start", "--help"], 0, "--script-root"),
        ([], 0, "usage: devhost"),
        (["help"], 0, "usage: devhost"),
        (["stop"], 1, "invalid choice: 'stop'"),
        (["azure", "functionapp", "publish"], 1, "invalid choice: 'azure'"),
        (["start", "--nonsense"], 1, "--nonsense"),
        (["start", "--por", "1"], 1, "--por"),
        (["start", "--port", "x"], 1, "invalid int value: 'x'"),
        (["start", "--useHttps"], 1, "--useHttps is not supported"),
        (["start", "--javascript"], 1, "devhost runs Python apps"),
    ],
)
def test_what_is_no_start_ends_with_funcs_exit_code(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        read_arguments(arguments)
    assert ended.value.code == code
    printed = capsys.readouterr()
    assert said in (printed.err if code else printed.out)
    if code:
        assert len(printed.err.splitlines()) == 1


def test_the_app_is_looked_for_here_and_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "app" / "deep" / "er"
    inside.mkdir(parents=True)
    (tmp_path / "app" / "host.json").write_text("{}")
    monkeypatch.chdir(inside)
    assert find_script_root(None) == tmp_path / "app"
    assert find_script_root(Path()) == inside
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HostStartError, match=r"Unable to find project root\. Expecting to find host\.json"):
        find_script_root(None)
    with pytest.raises(HostStartError, match="nowhere is not a directory"):
        find_script_root(Path("nowhere"))


def test_an_address_that_is_none_is_not_taken_for_a_port_in_use() -> None:
    with pytest.raises(HostStartError, match=r"'not\.an\.address\.invalid' is no address to listen on"):
        listening_socket("not.an.address.invalid", 7071, None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HostStartError, match=rf"^Port {port} is unavailable\. Close the process"):
            listening_socket("127.0.0.1", port, None)


@pytest.mark.parametrize("port", ["0", "65536", "-1"])
def test_a_number_that_is_no_port_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    app = write_app(tmp_path / "app", ONE)
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    try:
        assert (
            start(read_arguments(["start", "--script-root", str(app), f"--port={port}"]), StopSignal()) == 1
        )
    finally:
        logging.getLogger().handlers[:] = handlers
        host_log = logging.getLogger("devhost")
        host_log.handlers.clear()
        host_log.propagate = True
        host_log.setLevel(logging.NOTSET)
        logging.getLogger().setLevel(level)
    assert capsys.readouterr().err == f"devhost cannot start: {port} is not a port.\n"


def test_functions_are_named_by_the_overrides_that_func_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for position in (0, 1):
        monkeypatch.setenv(f"AzureFunctionsJobHost__functions__{position}", "")
    name_functions(["one", "two"])
    assert app_setting("AzureFunctionsJobHost:functions:0") == "one"
    assert app_setting("AzureFunctionsJobHost:functions:1") == "two"


def test_the_banner_lists_http_first_and_names_what_is_disabled_last() -> None:
    def function(
        name: str, kind: str, *, is_disabled: bool = False, **properties: object
    ) -> FunctionDefinition:
        trigger = Binding("b", kind, "IN", properties)
        signature = Signature({}, {}, frozenset(), wants_context=False, return_binding=None)
        return FunctionDefinition(
            name, print, trigger, (trigger,), signature, is_async=False, is_disabled=is_disabled
        )

    app = LoadedApp(
        functions=[
            function("on_queue", "queueTrigger"),
            function("off", "httpTrigger", is_disabled=True, route="off"),
            function("starter", "httpTrigger", route="start/{name}", methods=["POST", "PUT"]),
            function("all_verbs", "httpTrigger", route="all"),
        ]
    )
    assert banner(app, port=7071, route_prefix="api") == [
        "",
        "Functions:",
        "",
        "\tall_verbs: http://localhost:7071/api/all",
        "",
        "\tstarter: [POST,PUT] http://localhost:7071/api/start/{name}",
        "",
        "\ton_queue: queueTrigger",
        "",
        "Function off is disabled.",
        "For detailed output, run func with --verbose flag.",
    ]


def test_what_is_ignored_and_a_start_that_is_late_are_said(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "import time\ntime.sleep(1.3)\n" + ONE)
    arguments = ("start", "--timeout", "1", "--no-build")
    host = start_host(app, arguments=arguments).wait_until_up()
    assert "--no-build means nothing to devhost and is ignored." in host.log
    assert "The host has not started within 1 seconds (--timeout); it goes on starting." in host.log
    assert host.call("GET", "/api/one").status == 200


def test_the_port_and_the_address_of_local_settings_are_used(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    (app / "local.settings.json").write_text('{"Host": {"LocalHttpAddress": "nowhere.invalid"}}')
    refused = start_host(app, place=tmp_path / "1")
    assert refused.process.wait(15) == 1
    assert "'nowhere.invalid' is no address to listen on" in refused.log
    started = start_host(app, place=tmp_path / "2", arguments=("start", "--address", "127.0.0.1"))
    assert started.wait_until_up().stop() == 0


def test_verbose_logs_what_the_libraries_say(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", "import logging\nlogging.debug('a detail')\n" + ONE)
    loud = start_host(app, place=tmp_path / "1", arguments=("start", "--verbose")).wait_until_up()
    assert "a detail" in loud.log
    quiet = start_host(app, place=tmp_path / "2").wait_until_up()
    assert "a detail" not in quiet.log
    environment = {
        "PYTHON_ENABLE_DEBUG_LOGGING": "1",
        "AzureFunctionsJobHost__logging__logLevel__root": "Debug",
    }
    asked = start_host(app, place=tmp_path / "3", environment=environment).wait_until_up()
    assert "a detail" in asked.log


def test_flags_for_callers_override_local_settings(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    (app / "local.settings.json").write_text(
        '{"Host": {"CORS": "https://b.example", "CORSCredentials": true}}'
    )
    host = start_host(app, arguments=("start", "--cors", "https://a.example", "--enableAuth")).wait_until_up()
    assert host.call("GET", "/api/one").status == 401
    allowed = host.call("GET", "/api/one", headers={"Origin": "https://a.example"}).headers
    assert allowed["access-control-allow-origin"] == "https://a.example"
    assert allowed["access-control-allow-credentials"] == "true"
    other = host.call("GET", "/api/one", headers={"Origin": "https://b.example"}).headers
    assert "access-control-allow-origin" not in other
