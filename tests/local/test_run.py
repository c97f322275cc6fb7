"""`make run`: ready with a banner, stopped without a trace, and one line for what is wrong."""

import os
import re
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient

from local.azurite import connection_string, start_azurite, wait_for_azurite
from local.functions_host import functions_url
from local.playground import playground_url
from local.ports import LOOPBACK, Ports
from local.processes import ChildProcess
from local.settings_file import values_of
from tests.local.checkout import Checkout

READY_SECONDS = 60
STOP_SECONDS = 30


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path)
    yield made
    for process_id in made.processes():  # only after a failure
        with suppress(ProcessLookupError):  # it went with its parent
            os.kill(process_id, signal.SIGKILL)


@contextmanager
def running(checkout: Checkout, *command: str) -> Iterator[ChildProcess]:
    run = checkout.start(*command)
    try:
        run.wait_until(lambda: "Afterword is running" in run.log_text(), seconds=READY_SECONDS)
        yield run
    finally:
        run.kill()


RUN = (sys.executable, "-m", "local", "run")


def test_the_banner_says_what_to_open_and_what_to_do(checkout: Checkout) -> None:
    with running(checkout, *RUN) as run:
        log, _, banner = run.log_text().partition("Afterword is running")
        assert "deliver_proactive_message: queueTrigger" in log
        assert playground_url(checkout.ports) in banner
        assert "order a laptop" in banner
        assert f"AZURITE_QUEUE_PORT={checkout.ports.azurite_queue_port} " in banner  # not the default one
        assert "-m local send" in banner
        assert f"{functions_url(checkout.ports)}/admin/functions/send_daily_digest" in banner
        run.stop()
        assert run.exit_code == 0


def test_everything_listens_on_this_machine_alone(checkout: Checkout) -> None:
    with running(checkout, *RUN) as run:
        open_ones = listening(checkout.processes())
        assert {host for host, _ in open_ones} == {LOOPBACK}
        assert {port for _, port in open_ones} >= set(vars(checkout.ports).values())
        run.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_that_was_asked_for_is_a_success(checkout: Checkout, number: signal.Signals) -> None:
    with running(checkout, *RUN) as run:
        os.kill(run.pid, number)
        assert run.wait(seconds=STOP_SECONDS) == 0
        assert run.log_text().endswith("\nStopping ...\nStopped.\n")
        assert checkout.processes() == {}


def test_a_run_that_is_killed_takes_its_children_with_it(checkout: Checkout) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (of util-linux) is missing: without it a killed `make run` leaves its children")
    with running(checkout, *RUN) as run:
        assert len(checkout.processes()) == 4
        os.kill(run.pid, signal.SIGKILL)
        run.wait(seconds=STOP_SECONDS)
        deadline = time.monotonic() + STOP_SECONDS
        while left := checkout.processes():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


@pytest.fixture
def ctrl_c_is_heeded() -> Iterator[None]:
    """As in a terminal: what a shell starts in the background ignores Ctrl-C, and make passes that on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("by", ["Ctrl-C", "SIGTERM to make"])
def test_stopping_make_run_leaves_no_process_and_loses_nothing(
    checkout: Checkout, by: str, ctrl_c_is_heeded: None
) -> None:
    with running(checkout, "make", "run") as run:
        with queue(checkout) as kept:
            kept.create_queue()
            kept.send_message("still here?")
        assert len(checkout.processes()) >= 4
        if by == "Ctrl-C":
            os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to make and to what it started
        else:
            os.kill(run.pid, signal.SIGTERM)
        # make passes the signal on, and ends by it itself once its recipe is over, whatever that returns.
        assert run.wait(seconds=STOP_SECONDS) == -(signal.SIGINT if by == "Ctrl-C" else signal.SIGTERM)
        assert "\nStopped.\n" in run.log_text()
        assert "Error" not in run.log_text()
        assert checkout.processes() == {}
    data = checkout.root / ".local"
    azurite = start_azurite(checkout.ports, data=data / "azurite", logs=data / "logs")
    try:
        wait_for_azurite(azurite)
        with queue(checkout) as kept:
            assert [message.content for message in kept.peek_messages()] == ["still here?"]
    finally:
        azurite.process.stop()


def test_when_a_part_dies_the_rest_is_stopped_and_the_part_is_named(checkout: Checkout) -> None:
    with running(checkout, *RUN) as run:
        [playground] = [pid for pid, command in checkout.processes().items() if "agentsplayground" in command]
        os.kill(playground, signal.SIGKILL)
        assert run.wait(seconds=STOP_SECONDS) == 1
        assert "the Playground stopped with exit code -9" in run.log_text()
        assert checkout.processes() == {}


@pytest.mark.parametrize(
    ("addition", "told"),
    [
        ("import nothing_of_the_kind", "The app cannot run: .*nothing_of_the_kind.*"),
        (
            "@app.route(route='admin/two')\ndef refused(req: func.HttpRequest) -> str:\n    return ''",
            "The app cannot run: The 'refused' function is in error: .*",
        ),
    ],
)
def test_an_app_that_does_not_load_ends_the_run_with_its_reason(
    checkout: Checkout, addition: str, told: str
) -> None:
    app = (checkout.root / "function_app.py").read_text(encoding="utf-8")
    checkout.replace("function_app.py", f"{app}\n{addition}\n")
    run = checkout.start(*RUN)
    assert run.wait(seconds=READY_SECONDS) == 1
    assert "Afterword is running" not in run.log_text()
    *log, last = run.log_text().splitlines()
    assert re.fullmatch(told, last)
    reason = last.removeprefix("The app cannot run: ")
    assert [line for line in log if reason in line]  # devhost's log, as far as it got
    assert checkout.processes() == {}


def test_what_keeps_devhost_from_starting_is_told_in_one_line(checkout: Checkout) -> None:
    checkout.replace("host.json", '{"version": "2.0", "functionTimeout": "soon"}')
    run = checkout.start(*RUN)
    assert run.wait(seconds=READY_SECONDS) == 1
    *before, line = run.log_text().splitlines()
    assert before == ["", "Stopping ..."]
    assert line.startswith("devhost cannot start: host.json: functionTimeout 'soon' must be")


@pytest.mark.parametrize("ports", ["the same ports", "other ports"])
def test_a_second_run_on_the_same_data_is_told_that_the_stack_runs(checkout: Checkout, ports: str) -> None:
    others = {name.upper(): str(port) for name, port in vars(Ports.free()).items()}
    with running(checkout, *RUN) as run:
        line = refused(checkout, **(others if ports == "other ports" else {}))
        assert line.startswith("A stack is running already")
        assert "Ctrl-C" in line
        assert "--data-dir" in line
        assert run.exit_code is None
        run.stop()


def test_a_taken_port_is_told_in_one_line(checkout: Checkout) -> None:
    with closing(socket.create_server((LOOPBACK, checkout.ports.functions_port))):
        line = refused(checkout)
    assert f"Port {checkout.ports.functions_port} is taken" in line
    assert "FUNCTIONS_PORT=" in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"Values": {', "not valid JSON (line 1"),
        ("[]", "must hold one JSON object"),
        ("{}", 'no object "Values"'),
        ('{"Values": {}}', 'does not say "IsEncrypted": false'),
        ('{"IsEncrypted": true, "Values": {"A": "?"}}', "is encrypted"),
        ('{"IsEncrypted": false, "Values": {"RetentionDays": 7}}', '"RetentionDays" must be text in quotes'),
    ],
)
def test_a_broken_settings_file_is_told_in_one_line(checkout: Checkout, content: str, told: str) -> None:
    checkout.settings_file.write_text(content, encoding="utf-8")
    line = refused(checkout)
    assert line.startswith("local.settings.json")
    assert told in line


def test_a_port_that_is_no_port_is_told_in_one_line(checkout: Checkout) -> None:
    line = refused(checkout, PLAYGROUND_PORT="56150")
    assert line == "PLAYGROUND_PORT=56150 is not usable: give a port from 1 to 32767"


def test_two_equal_ports_are_told_in_one_line(checkout: Checkout) -> None:
    port = checkout.ports.functions_port
    line = refused(checkout, PLAYGROUND_PORT=str(port))
    assert line.startswith(f"FUNCTIONS_PORT and PLAYGROUND_PORT are both {port}")


@pytest.mark.parametrize(("content", "told"), [("{", "not valid JSON (line 1"), ("[]", "one JSON object")])
def test_a_broken_host_json_is_told_in_one_line(checkout: Checkout, content: str, told: str) -> None:
    checkout.replace("host.json", content)
    line = refused(checkout)
    assert line.startswith("host.json")
    assert told in line


@pytest.mark.parametrize("tool", ["azurite", "@microsoft/m365agentsplayground"])
def test_a_missing_tool_is_told_before_anything_starts(checkout: Checkout, tool: str) -> None:
    (checkout.root / "local" / "node_modules" / tool.split("/", maxsplit=1)[0]).unlink()
    line = refused(checkout)
    assert line.startswith(f"local/node_modules/{tool}")
    assert "make setup" in line


def test_what_an_editor_puts_in_front_of_a_settings_file_is_no_fault(checkout: Checkout) -> None:
    checkout.settings_file.write_text('{"IsEncrypted": false, "Values": {"A": "b"}}', encoding="utf-8-sig")
    assert values_of(checkout.settings_file) == {"A": "b"}


def test_a_message_for_something_else_than_a_queue_is_told_in_one_line(checkout: Checkout) -> None:
    with ThreadingHTTPServer((LOOPBACK, checkout.ports.azurite_queue_port), SomethingElse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        send = checkout.start(sys.executable, "-m", "local", "send", "hello")
        assert send.wait(seconds=STOP_SECONDS) == 1
        server.shutdown()
    [line] = send.log_text().splitlines()
    assert 'The queue "proactive-messages" did not take the message (HTTP 404' in line
    assert "make run" in line


class SomethingElse(BaseHTTPRequestHandler):
    """A server that has a page for everything."""

    def do_PUT(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def queue(checkout: Checkout) -> QueueClient:
    return QueueClient.from_connection_string(connection_string(checkout.ports), "kept")


def refused(checkout: Checkout, **environment: str) -> str:
    """The one line in which a run is refused that has started nothing."""
    before = checkout.processes().keys()
    run = checkout.start(*RUN, **environment)
    assert run.wait(seconds=STOP_SECONDS) == 1
    assert checkout.processes().keys() == before
    [line] = run.log_text().splitlines()
    return line


def listening(process_ids: Iterable[int]) -> set[tuple[str, int]]:
    """Where these processes listen, as the kernel tells it: address and port."""
    theirs = {inode for process_id in process_ids for inode in socket_inodes(process_id)}
    found = set()
    for family in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{family}").read_text(encoding="ascii").splitlines()[1:]:
            local, state, inode = (row.split()[column] for column in (1, 3, 9))
            if state != "0A" or inode not in theirs:
                continue
            address, port = local.split(":")
            is_ipv4 = len(address) == 8
            host = socket.inet_ntoa(bytes.fromhex(address)[::-1]) if is_ipv4 else address
            found.add((host, int(port, 16)))
    return found


def socket_inodes(process_id: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{process_id}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found
