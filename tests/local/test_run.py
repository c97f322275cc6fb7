"""`make run`: ready with a banner, stopped without a trace, and one line for what is wrong."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient

from local.azurite import connection_string, start_azurite, wait_for_azurite
from local.functions_host import functions_url
from local.playground import playground_url
from local.ports import LOOPBACK
from local.processes import ChildProcess
from tests.local.checkout import Checkout

READY_SECONDS = 60
STOP_SECONDS = 30


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(tmp_path)
    yield made
    for process_id in made.processes():  # only after a failure
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
        banner = run.log_text()
        assert playground_url(checkout.ports) in banner
        assert "order a laptop" in banner
        assert "-m local send" in banner
        assert f"{functions_url(checkout.ports)}/admin/functions/send_daily_digest" in banner
        run.stop()
        assert run.exit_code == 0


def test_everything_listens_on_this_machine_alone(checkout: Checkout) -> None:
    with running(checkout, *RUN) as run:
        ours = set(vars(checkout.ports).values())
        hosts = {host for host, port in listening() if port in ours}
        assert hosts == {LOOPBACK}
        assert {port for _, port in listening()} >= ours
        run.stop()


@pytest.mark.parametrize("by", ["Ctrl-C", "SIGTERM to make"])
def test_stopping_make_run_leaves_no_process_and_loses_nothing(checkout: Checkout, by: str) -> None:
    with running(checkout, "make", "run") as run:
        with queue(checkout) as kept:
            kept.create_queue()
            kept.send_message("still here?")
        assert len(checkout.processes()) >= 4
        if by == "Ctrl-C":
            os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to make and to what it started
        else:
            os.kill(run.pid, signal.SIGTERM)
        run.wait(seconds=STOP_SECONDS)
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


def test_a_taken_port_is_told_in_one_line(checkout: Checkout) -> None:
    with closing(socket.create_server((LOOPBACK, checkout.ports.functions_port))):
        run = checkout.start(*RUN)
        assert run.wait(seconds=STOP_SECONDS) == 1
    [line] = run.log_text().splitlines()
    assert f"Port {checkout.ports.functions_port} is taken" in line
    assert "FUNCTIONS_PORT=" in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"Values": {', "not valid JSON (line 1"),
        ("{}", 'no object "Values"'),
        ('{"Values": {"RetentionDays": 7}}', '"RetentionDays" must be text in quotes'),
    ],
)
def test_a_broken_settings_file_is_told_in_one_line(checkout: Checkout, content: str, told: str) -> None:
    checkout.settings_file.write_text(content, encoding="utf-8")
    run = checkout.start(*RUN)
    assert run.wait(seconds=STOP_SECONDS) == 1
    [line] = run.log_text().splitlines()
    assert line.startswith("local.settings.json")
    assert told in line


def test_a_port_that_is_no_port_is_told_in_one_line(checkout: Checkout) -> None:
    run = checkout.start(*RUN, PLAYGROUND_PORT="56150")
    assert run.wait(seconds=STOP_SECONDS) == 1
    [line] = run.log_text().splitlines()
    assert line == "PLAYGROUND_PORT=56150 is not usable: give a port from 1 to 32767"


def test_a_missing_python_is_told_in_one_line(checkout: Checkout) -> None:
    (checkout.root / ".venv").unlink()
    setup = checkout.start("/usr/bin/make", "setup", PATH=str(checkout.root))
    assert setup.wait(seconds=STOP_SECONDS) != 0
    line, makes_own = setup.log_text().splitlines()
    assert line.startswith("Python 3.11 is missing: install it")
    assert makes_own.startswith("make: ***")


def queue(checkout: Checkout) -> QueueClient:
    return QueueClient.from_connection_string(connection_string(checkout.ports), "kept")


def listening() -> set[tuple[str, int]]:
    """Where somebody listens, as the kernel tells it: address and port."""
    found = set()
    for family in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{family}").read_text(encoding="ascii").splitlines()[1:]:
            local, state = row.split()[1], row.split()[3]
            if state != "0A":
                continue
            address, port = local.split(":")
            is_ipv4 = len(address) == 8
            host = socket.inet_ntoa(bytes.fromhex(address)[::-1]) if is_ipv4 else address
            found.add((host, int(port, 16)))
    return found
