"""The benches of jobs: what is asked for, what of it arrived, how soon, and how late."""

import asyncio
import json
import time

import pytest

from agent.jobs.catalog import job_asked_for
from bench.acknowledgements import figures_of as acknowledged
from bench.arrivals import Arrival, arrival_of
from bench.follow_ups import figures_of as followed_up
from bench.http_messages import cut
from bench.load import Taken, turns_taken
from bench.programs import BenchError
from bench.reminder import due_of, request
from bench.stub import Stub, StubConnection
from bench.turns import addressed_turns
from bench.who import SAID
from local.ports import free_ports

REPLY = "/teams/v3/conversations/a%3Aconversation-00000007/activities/turn-000000000007"
MESSAGE = b'{"type": "message", "text": "I will remind you."}'


def turn(conversation_id: str, *, asked_at: float, answered_at: float, status: int = 200) -> Taken:
    return Taken(conversation_id, asked_at, answered_at, status)


def arrival(conversation_id: str, at: float) -> Arrival:
    return Arrival(at, conversation_id, is_reply=True)


def test_a_reminder_says_when_it_is_due_and_other_words_ask_for_none() -> None:
    assert due_of(request(1_764_000_000.25)) == 1_764_000_000.25
    assert due_of(request(1_764_000_000.25).lower()) == 1_764_000_000.25
    assert due_of("What is the weather like?") is None


def test_the_turn_that_is_measured_as_one_text_for_one_text_asks_for_no_job() -> None:
    assert job_asked_for(SAID, None) is None


def test_a_path_tells_the_conversation_and_whether_it_is_a_reply() -> None:
    assert arrival_of(1.5, REPLY) == Arrival(1.5, "a:conversation-00000007", is_reply=True)
    plain = REPLY.rpartition("/")[0]
    assert not arrival_of(1.5, plain).is_reply
    assert not arrival_of(1.5, plain + "/").is_reply


def test_the_stub_tells_what_messages_arrived_only_where_it_was_asked_to_keep_them() -> None:
    stub = Stub("http://127.0.0.1:1")
    stub.answer("POST", REPLY, MESSAGE)
    assert stub.answer("GET", "/bench/arrivals")[1] == {"arrivals": None}
    stub.answer("GET", "/bench/reset?delay=0&arrivals=1")
    before = time.monotonic()
    stub.answer("POST", REPLY, b'{"type":"typing"}')
    stub.answer("POST", REPLY, MESSAGE)
    assert stub.answer("PUT", REPLY) == (200, {"id": "turn-000000000007"})
    [(at, path)] = stub.answer("GET", "/bench/arrivals")[1]["arrivals"]
    assert (path, stub.counts.activities, stub.counts.updates) == (REPLY, 2, 1)
    assert before <= at <= time.monotonic()


def test_a_turn_tells_its_conversation_its_moment_and_its_words_and_is_signed_only_with_a_token() -> None:
    next_turn = addressed_turns(
        port=1, service_url="http://127.0.0.1/teams/", token="", text="100 % sure", tenants=1, users=1
    )
    conversation_id, whole = next_turn()
    parts = cut(whole)
    assert parts
    head, body, left = parts
    told = json.loads(body)
    assert (conversation_id, left) == (told["conversation"]["id"], b"")
    assert told["text"] == "100 % sure"
    assert told["timestamp"].startswith(time.strftime("%Y-", time.gmtime()))
    assert told["conversation"]["tenantId"].endswith("00000000")
    assert b"Authorization" not in head


async def test_turns_are_taken_until_there_are_enough_each_with_its_times() -> None:
    [port] = free_ports(1)
    stub = Stub(f"http://127.0.0.1:{port}")
    stub.delay = 0.01
    server = await asyncio.get_running_loop().create_server(lambda: StubConnection(stub), "127.0.0.1", port)
    keys = iter(range(100))

    def next_turn() -> tuple[str, bytes]:
        key = next(keys)
        path = f"/v3/conversations/{key}/activities" if key else "/nothing"
        return str(key), f"POST {path} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode()

    async with server:
        taken = await turns_taken(port, next_turn, concurrency=4, most=10, seconds=10)
    assert sorted(int(turn.conversation_id) for turn in taken) == list(range(10))
    assert all(turn.answered_at - turn.asked_at >= 0.009 for turn in taken)
    assert [turn.conversation_id for turn in taken if not turn.is_acknowledged] == ["0"]


def test_an_acknowledgement_is_the_first_thing_said_after_a_turn_was_asked() -> None:
    taken = [turn("a", asked_at=10.0, answered_at=10.2), turn("b", asked_at=10.0, answered_at=10.4)]
    arrivals = [arrival("a", 10.1), arrival("b", 10.3), arrival("a", 12.0)]
    figures = acknowledged(taken, arrivals, program="one")
    assert figures["at connector p50 ms"] == pytest.approx(100)
    assert figures["at connector p99 ms"] == pytest.approx(300)
    assert figures["response p99 ms"] == pytest.approx(400)
    assert figures["p99 % of 10 s"] == pytest.approx(3)
    assert figures["p99 % of 15 s"] == pytest.approx(400 / 150)
    assert (figures["turns"], figures["failed"]) == (2, 0)


def test_a_turn_without_success_is_a_failure_and_success_without_a_word_ends_the_bench() -> None:
    taken = [
        turn("a", asked_at=10.0, answered_at=10.2),
        turn("b", asked_at=10.0, answered_at=11.0, status=503),
    ]
    assert acknowledged(taken, [arrival("a", 10.1)], program="one")["failed"] == 1
    with pytest.raises(BenchError, match="answered 1 turns with success and said nothing"):
        acknowledged(taken, [], program="one")
    with pytest.raises(BenchError, match="acknowledged no turn"):
        acknowledged(taken[1:], [], program="one")


def test_lateness_counts_from_the_moment_that_was_due_and_what_never_came_is_lost() -> None:
    arrivals = [arrival("a", 99.0), arrival("b", 99.5), arrival("c", 99.9)]
    arrivals += [arrival("a", 100.5), arrival("b", 102.0), arrival("b", 104.0)]
    figures = followed_up(arrivals, due=100.0, jobs=3)
    assert (figures["late p50 s"], figures["late p99 s"], figures["max s"]) == (0.5, 2.0, 2.0)
    assert (figures["follow-ups/s"], figures["lost"]) == (1.0, 1)
    with pytest.raises(BenchError, match="no follow-up arrived"):
        followed_up(arrivals[:3], due=100.0, jobs=3)
