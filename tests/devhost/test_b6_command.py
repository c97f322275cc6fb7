"""Contract B6: the command line, the output of a start, and the exit codes."""

import signal
from pathlib import Path

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
    host = start_host(write_app(tmp_path / "app", ONE)).wait_until_up()
    host.process.send_signal(signal.SIGSEGV)
    assert host.process.wait(15) == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in host.log
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
