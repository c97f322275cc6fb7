"""Streamed messages: Teams' rules, each of which has broken somebody's bot."""

from typing import Any

import pytest

from testconnector.options import Options
from testconnector.server import ScriptedConnector, running
from tests.testconnector.conftest import CHAT, Client, Clock


async def part(
    client: Client,
    kind: str,
    text: str | None,
    sequence: int | None,
    stream_id: str | None = None,
    *,
    chat: str = CHAT,
) -> tuple[int, Any]:
    info: dict[str, Any] = {"type": "streaminfo", "streamType": kind}
    info |= {"streamSequence": sequence} if sequence is not None else {}
    info |= {"streamId": stream_id} if stream_id else {}
    body: dict[str, Any] = {"type": "message" if kind == "final" else "typing", "entities": [info]}
    body |= {"text": text} if text is not None else {}
    status, answer, _ = await client.call("POST", f"/{chat}/activities", body)
    return status, answer


async def begun(client: Client) -> str:
    status, answer = await part(client, "informative", "Looking …", 1)
    assert status == 201
    return str(answer["id"])


async def test_a_stream_from_its_first_word_to_its_last(connector: ScriptedConnector, client: Client) -> None:
    stream_id = await begun(client)
    assert await part(client, "streaming", "A lap", 2, stream_id) == (202, {})
    assert await part(client, "streaming", "A laptop", 3, stream_id) == (202, {})
    assert await part(client, "final", "A laptop comes.", None, stream_id) == (202, {})
    assert [call.accepted for call in connector.calls] == [True] * 4
    assert {call.activity_id for call in connector.calls} == {stream_id}


@pytest.mark.parametrize(
    ("kind", "text", "sequence", "said"),
    [
        ("streaming", None, 1, "Start streaming activities should include text"),
        ("streaming", "", 1, "Start streaming activities should include text"),
        ("streaming", "A", None, "streamSequence"),
        ("streaming", "A", 2, "begins with the streamSequence 1"),
        ("informative", "x" * 1001, 1, "1000 characters"),
        ("final", "A", None, "needs the streamId"),
        ("summary", "A", 1, "streamType"),
    ],
)
async def test_a_stream_that_begins_wrong_is_refused(
    connector: ScriptedConnector, client: Client, kind: str, text: str | None, sequence: int | None, said: str
) -> None:
    status, answer = await part(client, kind, text, sequence)
    assert (status, answer["error"]["code"]) == (400, "BadArgument")
    assert said in answer["error"]["message"]
    assert connector.report()["accepted"] == 0


async def test_an_informative_text_may_have_a_thousand_characters(client: Client) -> None:
    assert (await part(client, "informative", "x" * 1000, 1))[0] == 201


async def test_a_sequence_that_does_not_rise_is_dropped_with_a_success_code(
    connector: ScriptedConnector, client: Client
) -> None:
    stream_id = await begun(client)
    await part(client, "streaming", "A", 3, stream_id)
    for sequence in (3, 2):
        status, answer = await part(client, "streaming", "B", sequence, stream_id)
        assert status == 202
        assert answer["error"]["code"] == "ContentStreamSequenceOrderPreConditionFailed"
        assert not connector.calls[-1].accepted
    assert (await part(client, "final", "A!", None, stream_id))[0] == 202


async def test_the_final_message_has_no_sequence_and_begins_with_what_was_streamed(client: Client) -> None:
    stream_id = await begun(client)
    await part(client, "streaming", "Hello wor", 2, stream_id)
    assert (await part(client, "final", "Hello world", 3, stream_id))[0] == 400
    assert (await part(client, "final", "Good bye", None, stream_id))[0] == 400
    assert (await part(client, "final", "Hello world", None, stream_id))[0] == 202


async def test_only_personal_chats_are_streamed_to(client: Client) -> None:
    status, answer = await part(client, "streaming", "A", 1, chat="19:x@thread.tacv2")
    assert (status, answer["error"]["code"]) == (403, "ContentStreamNotAllowed")


async def refused(client: Client, stream_id: str) -> str:
    status, answer = await part(client, "streaming", "B", 9, stream_id)
    assert (status, answer["error"]["code"]) == (403, "ContentStreamNotAllowed")
    return str(answer["error"]["message"])


async def test_after_its_end_nothing_more_is_taken(client: Client) -> None:
    stream_id = await begun(client)
    await part(client, "final", "A", None, stream_id)
    assert "already completed" in await refused(client, stream_id)


async def test_after_two_minutes_nothing_more_is_taken(client: Client, clock: Clock) -> None:
    stream_id = await begun(client)
    clock.passes(120)
    assert (await part(client, "streaming", "A", 2, stream_id))[0] == 202
    clock.passes(0.1)
    assert "exceeded streaming time" in await refused(client, stream_id)


async def test_a_user_may_cancel_a_stream(connector: ScriptedConnector, client: Client) -> None:
    stream_id = await begun(client)
    _, answer, _ = await client.ask("POST", "/_streams/cancel", {"conversation": CHAT})
    assert answer == {"cancelled": 1}
    assert "canceled by user" in await refused(client, stream_id)
    assert connector.api.streams.cancel(CHAT) == 0


async def test_a_stream_belongs_to_its_conversation(client: Client) -> None:
    stream_id = await begun(client)
    assert (await part(client, "streaming", "A", 2, stream_id, chat="a:1other"))[0] == 400


async def test_the_pace_is_held_where_that_is_asked(clock: Clock, session: Any) -> None:
    async with running(Options(clock=clock, stream_pace=1.0)) as connector:
        client = Client(session, connector)
        stream_id = await begun(client)
        assert (await part(client, "streaming", "A", 2, stream_id))[0] == 429
        clock.passes(1)
        assert (await part(client, "streaming", "A", 2, stream_id))[0] == 202


async def test_the_report_tells_how_long_a_stream_lasted_and_was_silent(
    connector: ScriptedConnector, client: Client, clock: Clock
) -> None:
    stream_id = await begun(client)
    for seconds, kind, sequence in ((25, "informative", 2), (41, "informative", 3), (1.5, "final", None)):
        clock.passes(seconds)
        assert (await part(client, kind, "Looking …", sequence, stream_id))[0] == 202
    (shown,) = connector.report()["streams"]
    assert (shown["lasted"], shown["longestGap"]) == (67.5, 41.0)
