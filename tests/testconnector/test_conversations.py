"""Conversations are created, written to and read as in Teams."""

from typing import Any

import pytest

from testconnector.conversations import member
from testconnector.options import Options
from testconnector.server import ScriptedConnector, running
from tests.testconnector.conftest import CHAT, Client

USER = "c2a5f1d4-83b7-4e6e-9f0d-6b1f3a7c9e21"
CHANNEL = "19:team@thread.tacv2"


async def created(client: Client, **parameters: Any) -> tuple[int, Any]:
    status, answer, _ = await client.call("POST", "", parameters)
    return status, answer


async def test_a_personal_conversation_is_one_for_a_member_in_a_tenant(
    connector: ScriptedConnector, client: Client
) -> None:
    first = await created(client, members=[{"id": USER}], tenantId="t")
    assert first[0] == 201
    assert first[1]["id"].startswith("a:1")
    assert await created(client, members=[{"id": USER}], channelData={"tenant": {"id": "t"}}) == first
    by_user_id = member(USER, tenant_id="t")["id"]
    assert await created(client, members=[{"id": by_user_id}], tenantId="t") == first
    others = [
        await created(client, members=[{"id": USER}], tenantId="u"),
        await created(client, members=[{"id": "29:1x"}], tenantId="t"),
        await created(
            client, members=[{"id": USER}], tenantId="t", channelData={"productContext": "Copilot"}
        ),
    ]
    assert len({first[1]["id"], *(answer["id"] for _, answer in others)}) == 4


async def test_the_first_activity_of_a_personal_conversation_is_sent_and_its_id_not_told(
    connector: ScriptedConnector, client: Client
) -> None:
    _, answer = await created(client, members=[{"id": USER}], activity={"type": "message", "text": "#1"})
    assert answer.keys() == {"id"}
    assert connector.calls[0].activity_id


async def test_a_thread_in_a_channel_is_another_one_each_time(client: Client) -> None:
    wanted = {"isGroup": True, "channelData": {"channel": {"id": CHANNEL}}}
    assert (await created(client, **wanted))[0] == 400
    answers = [(await created(client, **wanted, activity={"type": "message"}))[1] for _ in range(2)]
    assert answers[0]["id"] == f"{CHANNEL};messageid={answers[0]['activityId']}"
    assert answers[0] != answers[1]


@pytest.mark.parametrize(
    "wanted",
    [
        {"isGroup": True, "members": [{"id": USER}, {"id": "29:1x"}]},
        {"members": [{"id": USER}, {"id": "29:1x"}]},
        {"members": []},
        {"members": [{"aadObjectId": USER}]},
        {"members": [{"id": f"29:{USER}"}]},
        {},
    ],
)
async def test_what_teams_cannot_create_is_bad_syntax(
    connector: ScriptedConnector, client: Client, wanted: dict[str, Any]
) -> None:
    status, answer = await created(client, **wanted)
    assert (status, answer["error"]["code"]) == (400, "BadSyntax")
    assert not connector.calls[0].accepted


async def test_what_was_sent_is_recorded_as_it_was_sent(connector: ScriptedConnector, client: Client) -> None:
    body = {"type": "message", "text": "Hello ä"}
    path = "/a:chat%2Fwith%3Fodd%23signs/activities"
    _, answer, headers = await client.call("POST", f"{path}/in%2F1", body, Authorization="Bearer t")
    (call,) = connector.calls
    assert (call.method, call.operation, call.status, call.accepted) == ("POST", "reply", 201, True)
    assert call.conversation_id == "a:chat/with?odd#signs"
    assert (call.authorization, call.body, call.activity_id) == ("Bearer t", body, answer["id"])
    assert call.user_agent
    assert headers["MS-CV"]
    assert headers["x-ms-conversation-id"] == call.conversation_id


async def test_a_path_keeps_its_quoting(connector: ScriptedConnector) -> None:
    # aiohttp's client would write some of it in another way, so this one is sent by hand.
    call = connector.recording.arrive(at=0, method="GET", path="/v3/conversations/a%3A1%2f/members")
    assert call.path == "/v3/conversations/a%3A1%2f/members"


async def test_what_was_taken_back_is_not_there_any_more(client: Client) -> None:
    _, sent, _ = await client.send("hello")
    path = f"/{CHAT}/activities/{sent['id']}"
    assert (await client.call("PUT", path, {"type": "message", "text": "x"}))[:2] == (200, sent)
    assert (await client.call("DELETE", path))[0] == 200
    for method in ("PUT", "DELETE"):
        status, answer, _ = await client.call(method, path, {"type": "message"})
        assert (status, answer["error"]["code"]) == (404, "ActivityNotFoundInConversation")


async def test_a_body_that_is_no_object_and_a_path_that_is_not_there(
    connector: ScriptedConnector, client: Client
) -> None:
    assert (await client.call("POST", f"/{CHAT}/activities", ["x"]))[0] == 400
    assert (await client.call("POST", f"/{CHAT}/activities"))[0] == 400
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    assert (await client.call("POST", f"/{CHAT}/activities", deep))[0] == 400
    assert (await client.call("POST", f"/{CHAT}/nothing", {}))[0] == 404
    assert (await client.ask("GET", "/nothing"))[0] == 404
    assert connector.report()["accepted"] == 0


async def test_a_channel_is_read_in_pages_and_a_chat_whole(
    connector: ScriptedConnector, client: Client
) -> None:
    team = [{"id": f"29:1{number}"} for number in range(120)]
    connector.api.conversations.add(CHANNEL, members=team)
    connector.api.conversations.add(CHAT, members=team)
    read, query, sizes = [], "pageSize=7", []  # fewer than 50 are not to be had
    while query:
        _, answer, _ = await client.call("GET", f"/{CHANNEL}/pagedmembers?{query}")
        read += answer["members"]
        sizes.append(len(answer["members"]))
        token = answer.get("continuationToken")
        query = f"pageSize=7&continuationToken={token}" if token else ""
    assert (sizes, read) == ([50, 50, 20], team)
    _, answer, _ = await client.call("GET", f"/{CHAT}/pagedmembers?pageSize=50")
    assert answer == {"members": team}
    assert (await client.call("GET", f"/{CHANNEL}/members"))[1] == team
    assert (await client.call("GET", f"/{CHANNEL}/members/29:17"))[1] == team[7]
    assert (await client.call("GET", f"/{CHANNEL}/members/29:1none"))[0] == 404
    assert (await client.call("GET", f"/{CHANNEL}/pagedmembers?continuationToken=x"))[0] == 400


async def test_the_member_of_a_created_conversation_is_in_its_roster(client: Client) -> None:
    _, answer = await created(client, members=[{"id": USER}], tenantId="t")
    _, members, _ = await client.call("GET", f"/{answer['id']}/members")
    assert [(one["aadObjectId"], one["tenantId"]) for one in members] == [(USER, "t")]


async def test_a_conversation_that_is_lost_is_not_found_where_only_known_ones_are(session: Any) -> None:
    async with running(Options(only_known=True)) as connector:
        client = Client(session, connector)
        status, answer, _ = await client.send("hello", "a:1unknown")
        assert (status, answer["error"]["code"]) == (404, "ConversationNotFound")
        _, known = await created(client, members=[{"id": USER}])
        assert (await client.send("hello", known["id"]))[0] == 201
        connector.api.conversations.forget(known["id"])
        assert (await client.send("hello", known["id"]))[0] == 404
        await client.ask("PUT", "/_conversations", {"id": "a:1unknown", "tenantId": "t", "members": []})
        assert (await client.send("hello", "a:1unknown"))[0] == 201
        _, shown, _ = await client.ask("GET", "/_conversations")
        assert shown == [
            {"id": "a:1unknown", "kind": "personal", "tenantId": "t", "members": 0, "accepted": 1}
        ]


async def test_a_token_is_required_where_that_is_asked(session: Any) -> None:
    async with running(Options(require_token="ours-")) as connector:
        client = Client(session, connector)
        path, body = f"/{CHAT}/activities", {"type": "message"}
        assert (await client.call("POST", path, body))[0] == 401
        assert (await client.call("POST", path, body, Authorization="Bearer theirs"))[0] == 401
        assert (await client.call("POST", path, body, Authorization="Bearer ours-1"))[0] == 201


async def test_memory_is_bounded(session: Any) -> None:
    async with running(Options(most_calls=3, most_conversations=2, keep_bodies=False)) as connector:
        client = Client(session, connector)
        for number in range(5):
            await client.send(f"#{number}", f"a:1{number}")
        assert [call.number for call in connector.calls] == [3, 4, 5]
        assert {call.body for call in connector.calls} == {None}
        assert len(connector.api.conversations) == 2
        report = connector.report()
        assert (report["calls"], report["accepted"], report["order"]["numbered"]) == (5, 5, 5)
