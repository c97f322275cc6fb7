"""The load generator against the stub: what is asked is answered and counted."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bench.http_messages import NotUnderstood, cut, status_of, wants_to_close
from bench.load import burst, closed_loop, first_answer, turns_taken
from bench.stub import Stub, StubConnection
from bench.turns import turns
from local.ports import free_ports

SERVICE_URL = "http://127.0.0.1/teams/"


@pytest.fixture
async def stub() -> AsyncIterator[tuple[Stub, int]]:
    [port] = free_ports(1)
    stub = Stub(f"http://127.0.0.1:{port}")
    server = await asyncio.get_running_loop().create_server(lambda: StubConnection(stub), "127.0.0.1", port)
    async with server:
        yield stub, port


def post() -> bytes:
    return b"POST /v3/conversations/a/activities HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


def test_a_message_is_cut_off_when_it_is_whole() -> None:
    whole = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nConnection: close\r\n\r\nokmore"
    assert cut(whole[:-5]) is None
    parts = cut(whole)
    assert parts
    head, body, left = parts
    assert (status_of(head), wants_to_close(head), body, left) == (201, True, b"ok", b"more")


def test_a_chunked_body_is_not_misread() -> None:
    with pytest.raises(NotUnderstood):
        cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


async def test_a_closed_loop_measures_each_answer_on_kept_connections(stub: tuple[Stub, int]) -> None:
    load = await closed_loop(stub[1], post, concurrency=4, seconds=0.05)
    counts = stub[0].counts
    assert load.failures == 0
    assert len(load.latencies) == counts.activities >= 4
    assert (counts.connections, counts.without_token) == (4, counts.activities)
    assert load.rate > 0


async def test_what_is_not_answered_with_success_is_a_failure(stub: tuple[Stub, int]) -> None:
    load = await closed_loop(stub[1], lambda: b"GET /nothing HTTP/1.1\r\n\r\n", concurrency=1, seconds=0.01)
    assert load.failures == len(load.latencies) > 0


async def test_a_burst_is_over_when_all_are_answered(stub: tuple[Stub, int]) -> None:
    stub[0].delay = 0.02
    told = await burst(stub[1], post, size=16)
    assert (stub[0].counts.activities, told.failures) == (16, 0)
    assert told.began <= stub[0].counts.first_activity_at <= stub[0].counts.last_activity_at
    assert told.seconds > 0.02


async def test_a_program_that_does_not_listen_yet_is_asked_again() -> None:
    [port] = free_ports(1)
    looks = iter([False, False, True])
    assert not await first_answer(port, post, gives_up=lambda: next(looks))


def test_each_turn_is_a_new_one_and_of_the_length_that_its_head_tells() -> None:
    next_request = turns(port=1, service_url=SERVICE_URL, token="t%t")
    first, second = cut(next_request()), cut(next_request())
    assert first
    assert second
    assert first[1] != second[1]
    assert first[2] == second[2] == b""
    assert b"Bearer t%t" in first[0]


def test_the_stub_answers_as_bot_connector_entra_and_the_channels_issuer_do() -> None:
    stub = Stub("http://127.0.0.1:1")
    assert stub.answer("POST", "/v3/conversations/a/activities/b") == (201, b'{"id":"1"}')
    tenant = stub.answer("GET", "/login.microsoftonline.com/t/v2.0/.well-known/openid-configuration")[1]
    assert tenant["token_endpoint"] == "https://login.microsoftonline.com/t/oauth2/v2.0/token"
    assert stub.answer("POST", "/login.microsoftonline.com/t/oauth2/v2.0/token")[1]["access_token"]
    assert stub.answer("GET", "/v1/.well-known/keys")[1]["keys"][0]["endorsements"] == ["msteams"]
    assert stub.answer("GET", "/nothing")[0] == 404
    assert (stub.counts.activities, stub.counts.token_calls, stub.counts.discoveries) == (1, 1, 1)


async def test_what_is_asked_of_a_program_that_dies_is_unanswered_at_once() -> None:
    class Dies(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = transport

        def data_received(self, data: bytes) -> None:
            self._transport.close()

    server = await asyncio.get_running_loop().create_server(Dies, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(20):
        taken = await turns_taken(port, lambda: ("a", post()), concurrency=4, most=16, seconds=600)
        load = await closed_loop(port, post, concurrency=2, seconds=600)
    assert [turn.status for turn in taken] == [0] * 4
    assert (load.failures, len(load.latencies)) == (2, 2)
