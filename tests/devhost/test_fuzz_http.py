"""Bad requests on every endpoint: never a crash, a stack trace or a path, nor a 5xx but the contract's.

`FUZZ_REQUESTS=20000 FUZZ_SEED=1 python -m pytest tests/devhost/test_fuzz_http.py` sends more of them.
"""

import json
import os
import random
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.devhost.bad_requests import BadRequest, draw
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import ROOT, DevhostProcess, until

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "300"))
BATCH = 50
ANSWER_SECONDS = 15.0
PATIENCE = 0.3  # with what need not be answered
KNOWN_500 = (
    "already exists",
    "Cannot suspend",
    "Cannot resume",
    "Cannot rewind",
    "not in",
    "is not a failed",
)


@dataclass(frozen=True)
class RawAnswer:
    """What came back; ``status`` is 0 when nothing did."""

    status: int
    body: bytes
    wire: bytes


def exchange(port: int, wire: bytes, patience: float) -> RawAnswer:
    """Send bytes and read until the host closes, or the patience is at its end."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with suppress(OSError):
            connection.sendall(wire)
        with suppress(OSError):
            while piece := connection.recv(65536):
                received += piece
    head, _, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    first = head.split(b" ", 2)
    return RawAnswer(int(first[1]) if len(first) > 1 and first[1].isdigit() else 0, body, received)


def faults(request: BadRequest, answer: RawAnswer, place: Path) -> list[str]:
    """What is wrong with an answer."""
    found = []
    if request.is_http and not answer.status:
        found.append("no answer")
    insides = [b"Traceback (most", b'File "', b"site-packages", str(place).encode()]
    if not request.path.lower().startswith("/admin/functions"):  # it tells where the app is, as on Azure
        insides.append(str(ROOT).encode())
    found += [f"it shows {inside!r}" for inside in insides if inside in answer.wire]
    if answer.status >= 500 and not _is_known_failure(request, answer):
        found.append(f"it is a {answer.status}")
    return found


def _is_known_failure(request: BadRequest, answer: RawAnswer) -> bool:
    """The 500s of the contract: a function that fails, an operation that does not fit the status."""
    path = request.path.lower()
    if path.startswith("/api/"):
        return not answer.body or path.startswith("/api/answers")
    with suppress(ValueError):
        told = json.loads(answer.body)
        if answer.status == 503 and path.startswith("/devhost/api/queues"):
            return set(told) >= {"status", "detail"}
        return any(words in str(told.get("ExceptionMessage")) for words in KNOWN_500)
    return False


def still_serves(host: DevhostProcess, headers: dict[str, str]) -> None:
    assert host.process.poll() is None, host.log[-4000:]
    assert host.call("GET", "/admin/host/ping", headers=headers).status == 200
    assert host.call("GET", "/api/hello/you?q=1", headers=headers).status == 201


@pytest.mark.parametrize(
    "arguments", [("start",), ("start", "--enable-auth", "--cors", "https://a.example,null")]
)
def test_whatever_is_sent_the_host_answers_as_a_host_and_goes_on(
    start_host: StartHost, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    seed = int(os.environ.get("FUZZ_SEED") or random.randrange(2**32))  # noqa: S311 (chance, not secrecy)
    dice = random.Random(seed)  # noqa: S311 (the same)
    host = start_host(arguments=arguments).wait_until_up()
    keys = tmp_path / "data" / "keys.json"
    headers = {"x-functions-key": json.loads(keys.read_text())["masterKey"]} if keys.exists() else {}
    names = [one["name"] for one in host.call("GET", "/admin/functions", headers=headers).json()]
    for number in range(REQUESTS):
        request = draw(dice, names)
        wire = request.wire
        if headers and dice.random() < 0.7:  # most of the host lies behind its key
            key = f"x-functions-key: {headers['x-functions-key']}\r\nConnection: close".encode()
            wire = wire.replace(b"Connection: close", key, 1)
        answer = exchange(host.port, wire, ANSWER_SECONDS if request.is_http else PATIENCE)
        told = f"seed {seed}, request {number}: {request.wire[:400]!r} -> {answer.wire[:600]!r}"
        assert faults(request, answer, tmp_path) == [], told
        if number % BATCH == BATCH - 1:
            still_serves(host, headers)
    before, trouble, reason = host.log.partition("The host could not answer a request")
    assert not trouble, f"seed {seed}\n{before[-1000:]}{trouble}{reason[:5000]}"


def test_requests_sent_in_one_go_are_all_answered_in_order(start_host: StartHost) -> None:
    host = start_host().wait_until_up()
    ask = b"GET /api/hello/%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /api/hello/last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = exchange(host.port, b"".join(ask % number for number in range(40)) + last, ANSWER_SECONDS)
    places = [answer.wire.index(b", %d;" % number) for number in range(40)]
    assert places == sorted(places)
    assert b", last;" in answer.wire[places[-1] :]


def test_a_caller_that_is_gone_before_its_body_is_whole_is_no_trouble_of_the_host(
    start_host: StartHost,
) -> None:
    host = start_host().wait_until_up()
    with socket.create_connection(("127.0.0.1", host.port)) as connection:
        connection.sendall(b"PUT /api/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        still_serves(host, {})
    until(lambda: "A caller was gone before its request was whole." in host.log)
    assert "The host could not answer a request" not in host.log


def test_callers_that_stop_in_the_middle_hold_up_nobody(start_host: StartHost) -> None:
    host = start_host().wait_until_up()
    halves = [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    ]
    waiting = []
    try:
        for half in halves * 40:
            connection = socket.create_connection(("127.0.0.1", host.port))
            waiting.append(connection)
            connection.sendall(half)
        still_serves(host, {})
    finally:
        for connection in waiting:
            connection.close()
    still_serves(host, {})
    assert host.stop() == 0
