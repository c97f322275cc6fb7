"""The report: the order of numbered messages, the busiest second, the rate limits."""

import io
from typing import Any

import pytest

from testconnector.limits import RateLimits
from testconnector.options import Options
from testconnector.server import ScriptedConnector, running
from tests.testconnector.conftest import CHAT, Client, Clock


async def numbered(client: Client, *numbers: int, chat: str = CHAT) -> None:
    for number in numbers:
        await client.send(f"message #{number} of many", chat)


async def test_numbers_in_their_order_are_no_violation(connector: ScriptedConnector, client: Client) -> None:
    await numbered(client, 1, 2, 3)
    await numbered(client, 1, 2, chat="a:1other")
    await client.send("no number")
    order = connector.report()["order"]
    assert order == {"numbered": 5, "duplicates": 0, "outOfOrder": 0, "violations": [], "missing": {}}


async def test_duplicates_disorder_and_gaps_are_told(connector: ScriptedConnector, client: Client) -> None:
    await numbered(client, 2, 1, 4, 4, 3, 7)
    order = connector.report()["order"]
    assert [(v["kind"], v["number"], v["after"]) for v in order["violations"]] == [
        ("out of order", 1, 2),
        ("duplicate", 4, 4),
        ("out of order", 3, 4),
    ]
    assert (order["duplicates"], order["outOfOrder"]) == (1, 2)
    assert order["missing"] == {CHAT: [5, 6]}
    assert order["violations"][0]["call"] == 2


async def test_a_number_in_the_channel_data_goes_before_that_in_the_text(
    connector: ScriptedConnector, client: Client
) -> None:
    await client.send("#9", channelData={"x-test-sequence": 1})
    await client.send("#8", channelData={"x-test-sequence": 1})
    assert connector.report()["order"]["duplicates"] == 1


async def test_what_a_number_looks_like_can_be_chosen(session: Any) -> None:
    async with running(Options(sequence=r"n=(\d+)")) as connector:
        client = Client(session, connector)
        for text in ("n=1 of order #7", "n=2 of order #6"):
            await client.send(text)
        assert connector.report()["order"]["outOfOrder"] == 0
        assert connector.report()["order"]["numbered"] == 2


async def test_a_pattern_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no group"):
        ScriptedConnector(Options(sequence="#"))


async def test_digits_without_end_are_no_number(connector: ScriptedConnector, client: Client) -> None:
    assert (await client.send("#" + "1" * 5000))[0] == 201
    assert connector.report()["order"]["numbered"] == 0


async def test_what_was_not_accepted_is_not_in_the_order(
    connector: ScriptedConnector, client: Client
) -> None:
    connector.faults.next_answers({"status": 503}, {"status": 503, "accepted": True})
    await numbered(client, 1, 1, 1)
    order = connector.report()["order"]
    assert (order["numbered"], order["duplicates"]) == (2, 1)


async def test_the_busiest_second_is_told(connector: ScriptedConnector, client: Client, clock: Clock) -> None:
    for pause in (0.0, 0.4, 0.4, 0.4, 5.0):
        clock.passes(pause)
        await client.send("x")
    assert connector.report()["peakArrivalsPerSecond"] == 3
    await client.ask("DELETE", "/_calls")
    _, report, _ = await client.ask("GET", "/_report")
    assert (report["calls"], report["peakArrivalsPerSecond"], report["statuses"]) == (0, 0, {})


async def test_calls_are_shown_from_a_number_on(connector: ScriptedConnector, client: Client) -> None:
    await numbered(client, 1, 2, 3)
    await numbered(client, 4, chat="a:1other")
    _, calls, _ = await client.ask("GET", "/_calls?after=2")
    assert [call["body"]["text"] for call in calls] == ["message #3 of many", "message #4 of many"]
    _, calls, _ = await client.ask("GET", "/_calls?conversation=a:1other")
    assert [call["number"] for call in calls] == [4]
    assert calls[0].keys() >= {"at", "method", "path", "authorization", "status", "accepted", "activity_id"}
    assert (await client.ask("GET", "/_calls?after=x"))[0] == 400


@pytest.mark.parametrize(
    ("rest", "sent"),
    [(0.0, 7), (1.0, 8)],  # 7 in one second, 8 in two
)
async def test_a_conversation_takes_what_teams_would_take(
    session: Any, clock: Clock, rest: float, sent: int
) -> None:
    async with running(Options(clock=clock, limits=RateLimits())) as connector:
        client = Client(session, connector)
        statuses = [(await client.send("x"))[0] for _ in range(7)]
        clock.passes(rest)
        statuses += [(await client.send("x"))[0] for _ in range(2)]
        assert statuses.count(201) == sent
        status, _, headers = await client.send("x")
        assert (status, headers["Retry-After"]) == (429, "1")
        assert (await client.send("x", "a:1other"))[0] == 201
        assert (await client.call("GET", f"/{CHAT}/members"))[0] == 200
        clock.passes(2)
        assert (await client.send("x"))[0] == 201
        assert connector.report()["refusedByRateLimit"] == 9 - sent + 1


async def test_the_hour_has_its_limit_too(session: Any, clock: Clock) -> None:
    limits = RateLimits(sends=((2, 1), (3, 3600)))
    async with running(Options(clock=clock, limits=limits)) as connector:
        client = Client(session, connector)
        for _ in range(3):
            assert (await client.send("x"))[0] == 201
            clock.passes(10)
        status, _, headers = await client.send("x")
        assert (status, headers["Retry-After"]) == (429, "3570")


async def test_a_tenant_takes_fifty_a_second_over_all_its_conversations(session: Any, clock: Clock) -> None:
    async with running(Options(clock=clock, limits=RateLimits())) as connector:
        client = Client(session, connector)
        for number in range(51):
            connector.api.conversations.add(f"a:1{number}", tenant_id="t")
        statuses = [(await client.send("x", f"a:1{number}"))[0] for number in range(51)]
        assert statuses == [201] * 50 + [429]
        assert (await client.send("x", "a:1of-another-tenant"))[0] == 201


async def test_a_message_that_is_too_large_is_refused(session: Any, clock: Clock) -> None:
    async with running(Options(clock=clock, limits=RateLimits())) as connector:
        client = Client(session, connector)
        assert (await client.send("x" * 51_000))[0] == 201
        assert (await client.send("x" * 51_200))[0] == 413
        url = f"{connector.url}v3/conversations/{CHAT}/activities"
        async with session.post(url, data=io.BytesIO(b"x" * 2_000_000)) as answer:
            assert answer.status == 413
