"""The Connector port: recorded in memory, and as the REST API on a local server."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from yarl import URL

from adapters.connector_client import LARGEST_ANSWER, BotConnectorClient
from adapters.credentials import NoCredentials
from adapters.in_memory import RecordingConnector
from adapters.service_hosts import ServiceHosts
from agent.conversation import Place
from agent.ports import (
    ActivityNotFound,
    ChannelBusy,
    ChannelRefused,
    Connector,
    ConversationGone,
    ConversationNotFound,
    DeliveryAmbiguous,
    MessageTooLarge,
    StreamEnded,
    StreamPartDropped,
)
from agent.stream import final, informative, streaming
from testconnector.options import Options
from testconnector.server import ScriptedConnector, running

HELLO = {"type": "message", "text": "Hello ä"}
CHAT = "a:chat/with?odd#signs"
TENANT = "11111111-1111-4111-8111-111111111111"


def chat(service_url: str) -> Place:
    return Place(service_url=service_url, conversation_id=CHAT, tenant_id=TENANT)


class OneToken:
    def __init__(self) -> None:
        self.forgotten = 0

    async def token(self) -> str | None:
        return "a-fresh-token" if self.forgotten else "the-token"

    async def forget(self, token: str) -> None:
        self.forgotten += 1


@pytest.fixture
async def server() -> AsyncIterator[ScriptedConnector]:
    async with running() as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[BotConnectorClient]:
    client = BotConnectorClient(OneToken(), hosts=ServiceHosts(with_loopback=True))
    yield client
    await client.close()


class TestContract:
    """What both do."""

    @pytest.fixture(params=["in_memory", "http"])
    def connector(self, request: pytest.FixtureRequest) -> Connector:
        if request.param == "in_memory":
            return RecordingConnector()
        connector: Connector = request.getfixturevalue("client")
        return connector

    async def test_each_activity_that_is_sent_has_an_id_of_its_own(
        self, connector: Connector, server: ScriptedConnector
    ) -> None:
        sent = [await connector.send(HELLO, at=chat(server.url)) for _ in range(2)]
        first, second = (one.activity_id for one in sent)
        assert first
        assert second
        assert first != second

    async def test_a_created_conversation_has_an_id(
        self, connector: Connector, server: ScriptedConnector
    ) -> None:
        assert await connector.create_conversation(
            {"members": [{"id": "u"}]}, service_url=server.url, tenant_id=TENANT
        )

    async def test_what_was_sent_is_replaced_and_taken_back(
        self, connector: Connector, server: ScriptedConnector
    ) -> None:
        sent_id = (await connector.send(HELLO, at=chat(server.url))).activity_id
        assert sent_id
        await connector.update(HELLO, at=chat(server.url), activity_id=sent_id)
        await connector.delete(at=chat(server.url), activity_id=sent_id)

    async def test_a_stream_goes_from_its_first_update_to_its_final(
        self, connector: Connector, server: ScriptedConnector
    ) -> None:
        begun = await connector.send(informative("Looking", stream_id=None, sequence=1), at=chat(server.url))
        assert begun.activity_id
        for part in (
            streaming("A lap", stream_id=begun.activity_id, sequence=2),
            final({"type": "message", "text": "A laptop"}, stream_id=begun.activity_id),
        ):
            await connector.send(part, at=chat(server.url))


QUOTED = "a:chat%2Fwith%3Fodd%23signs"


async def test_the_requests_are_those_of_the_bot_connector(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    await client.send(HELLO, at=chat(server.url))
    await client.send(HELLO, at=chat(server.url), reply_to_id="in/1")
    await client.update(HELLO, at=chat(server.url), activity_id="1")
    await client.delete(at=chat(server.url), activity_id="1")
    await client.create_conversation(
        {"members": [{"id": "u"}]}, service_url=server.url.rstrip("/"), tenant_id=TENANT
    )
    in_chat = f"/teams/v3/conversations/{QUOTED}/activities"
    sent = [(call.method, call.path, call.authorization, call.body) for call in server.calls]
    assert sent == [
        ("POST", in_chat, "Bearer the-token", HELLO),
        ("POST", f"{in_chat}/in%2F1", "Bearer the-token", HELLO),
        ("PUT", f"{in_chat}/1", "Bearer the-token", HELLO),
        ("DELETE", f"{in_chat}/1", "Bearer the-token", None),
        ("POST", "/teams/v3/conversations", "Bearer the-token", {"members": [{"id": "u"}]}),
    ]


async def test_without_credentials_no_token_is_sent(server: ScriptedConnector) -> None:
    client = BotConnectorClient(NoCredentials(), hosts=ServiceHosts(with_loopback=True))
    await client.send(HELLO, at=chat(server.url))
    await client.close()
    assert server.calls[0].authorization is None


async def test_a_token_that_is_not_taken_is_fetched_anew_once(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    server.faults.next_answers(error(401, "Unauthorized"))
    assert await client.send(HELLO, at=chat(server.url))
    assert [call.authorization for call in server.calls] == ["Bearer the-token", "Bearer a-fresh-token"]


async def test_a_fresh_token_that_is_not_taken_either_is_a_refusal_and_an_alert(
    client: BotConnectorClient, server: ScriptedConnector, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.next_answers(*[{"error": "BotNotRegistered"}] * 2)
    with pytest.raises(ChannelRefused, match="401 BotNotRegistered"):
        await client.send(HELLO, at=chat(server.url))
    assert len(server.calls) == 2
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "the-token" not in caplog.text
    assert "a-fresh-token" not in caplog.text


async def test_an_empty_202_is_a_success_without_an_id(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    server.faults.next_answers({"status": 202})
    assert (await client.send(HELLO, at=chat(server.url))).activity_id is None


def error(status: int, code: str, message: str = "", **headers: str) -> dict[str, Any]:
    """The effect of answering so."""
    body = {"error": {"code": code, "message": message}}
    return {"status": status, "body": body, "headers": headers}


LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"
NESTED = json.dumps({"subCode": "MessageWritesBlocked", "errorCode": 209})
NUMBERED = json.dumps({"errorCode": 209, "message": "blocked"})


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        (error(403, "BotNotInConversationRoster"), ConversationGone),
        (error(403, "ConversationBlockedByUser"), ConversationGone),
        (error(403, "Forbidden", NESTED), ConversationGone),
        (error(403, "Forbidden", NUMBERED), ConversationGone),
        (error(404, "ConversationNotFound"), ConversationNotFound),
        (error(403, "NotEnoughPermissions"), ChannelRefused),
        (error(404, "ActivityNotFoundInConversation"), ActivityNotFound),
        (error(400, "BadSyntax"), ChannelRefused),
        (error(413, "MessageSizeTooBig"), MessageTooLarge),
        (error(412, "PreconditionFailed"), ChannelBusy),
        (error(429, "TooManyRequests"), ChannelBusy),
        (error(500, "ServiceError"), DeliveryAmbiguous),
        (error(502, "BadGateway"), DeliveryAmbiguous),
        ({"status": 503, "body": "<html>"}, DeliveryAmbiguous),
        ({"status": 400, "body": "<html>"}, ChannelRefused),
        ({"status": 302, "location": "http://127.0.0.1:9/"}, ChannelRefused),
    ],
)
async def test_each_error_means_what_the_caller_is_to_do(
    client: BotConnectorClient, server: ScriptedConnector, answer: dict[str, Any], means: type[Exception]
) -> None:
    server.faults.next_answers(answer)
    with pytest.raises(means, match=str(answer["status"])) as caught:
        await client.send(HELLO, at=chat(server.url))
    assert type(caught.value) is means
    assert "Hello" not in str(caught.value)


ENDED = {"code": "ContentStreamNotAllowed", "message": "Content stream was canceled by user."}


@pytest.mark.parametrize(
    ("status", "message", "why"),
    [
        (403, "Content stream was canceled by user.", "stopped"),
        (403, "Content stream was cancelled by user.", "stopped"),
        (403, "Content stream finished due to exceeded streaming time.", "over"),
        (403, "Message size too large", "over"),
        (403, "Content stream is not allowed on an already completed streamed message.", "completed"),
        (403, "Content stream is not allowed", "refused"),
        (403, "", "refused"),
        (403, json.dumps(ENDED), "stopped"),
        (400, "The streaming API is not enabled for this bot", "refused"),
    ],
)
async def test_a_stream_that_has_ended_says_why(
    client: BotConnectorClient, server: ScriptedConnector, status: int, message: str, why: str
) -> None:
    code = (
        "BadArgument" if status == 400 else "Forbidden" if message[:1] == "{" else "ContentStreamNotAllowed"
    )
    server.faults.next_answers(error(status, code, message))
    with pytest.raises(StreamEnded, match=str(status)) as ended:
        await client.send(streaming("A", stream_id="s-1", sequence=2), at=chat(server.url))
    assert ended.value.why == why


class TestStreams:
    """What becomes of a stream on a connector that holds Teams' rules, read by our client."""

    @pytest.fixture
    async def now(self) -> list[float]:
        return [1000.0]

    @pytest.fixture
    async def server(self, now: list[float]) -> AsyncIterator[ScriptedConnector]:
        async with running(Options(clock=lambda: now[0], stream_pace=1.0)) as server:
            yield server

    @pytest.fixture
    async def stream_id(self, client: BotConnectorClient, server: ScriptedConnector, now: list[float]) -> str:
        begun = await client.send(streaming("A", stream_id=None, sequence=1), at=chat(server.url))
        now[0] += 1
        assert begun.activity_id
        return begun.activity_id

    async def test_a_part_with_the_number_of_one_before_is_dropped_and_the_stream_goes_on(
        self, client: BotConnectorClient, server: ScriptedConnector, stream_id: str, now: list[float]
    ) -> None:
        with pytest.raises(StreamPartDropped):
            await client.send(streaming("A B", stream_id=stream_id, sequence=1), at=chat(server.url))
        taken = await client.send(streaming("A B", stream_id=stream_id, sequence=2), at=chat(server.url))
        assert taken.activity_id is None

    async def test_a_part_that_comes_too_soon_is_to_wait(
        self, client: BotConnectorClient, server: ScriptedConnector, stream_id: str, now: list[float]
    ) -> None:
        now[0] -= 0.1
        with pytest.raises(ChannelBusy):
            await client.send(streaming("A B", stream_id=stream_id, sequence=2), at=chat(server.url))

    async def test_a_final_that_changes_what_was_streamed_is_refused_and_the_stream_is_still_open(
        self, client: BotConnectorClient, server: ScriptedConnector, stream_id: str
    ) -> None:
        with pytest.raises(ChannelRefused) as refused:
            await client.send(final({"text": "B"}, stream_id=stream_id), at=chat(server.url))
        assert type(refused.value) is ChannelRefused
        await client.send(final({"text": "A B"}, stream_id=stream_id), at=chat(server.url))

    @pytest.mark.parametrize("why", ["stopped", "over", "completed"])
    async def test_each_end_of_a_stream_is_known(
        self,
        client: BotConnectorClient,
        server: ScriptedConnector,
        stream_id: str,
        now: list[float],
        why: str,
    ) -> None:
        if why == "stopped":
            server.api.streams.cancel(CHAT)
        elif why == "over":
            now[0] += 121
        else:
            await client.send(final({"text": "A"}, stream_id=stream_id), at=chat(server.url))
        with pytest.raises(StreamEnded) as ended:
            await client.send(final({"text": "A"}, stream_id=stream_id), at=chat(server.url))
        assert ended.value.why == why


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("soon", 5),
        ("-3", 0),
        ("nan", 5),
        ("1e400", 5),
        ("1e12", 86_400),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", 5),
    ],
)
async def test_a_busy_channel_says_how_long_to_wait(
    client: BotConnectorClient, server: ScriptedConnector, given: str, seconds: float
) -> None:
    server.faults.next_answers(error(429, "TooManyRequests", **{"Retry-After": given}))
    with pytest.raises(ChannelBusy) as caught:
        await client.send(HELLO, at=chat(server.url))
    assert caught.value.retry_after == timedelta(seconds=seconds)


async def test_a_busy_channel_may_say_when_instead_of_how_long(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    server.faults.next_answers(error(429, "TooManyRequests", **{"Retry-After": then}))
    with pytest.raises(ChannelBusy) as caught:
        await client.send(HELLO, at=chat(server.url))
    assert timedelta(seconds=80) < caught.value.retry_after <= timedelta(seconds=90)


async def test_a_channel_that_cannot_be_reached_is_busy_for_nothing_was_sent(
    client: BotConnectorClient, unused_tcp_port: int
) -> None:
    with pytest.raises(ChannelBusy):
        await client.send(HELLO, at=chat(f"http://127.0.0.1:{unused_tcp_port}/"))


async def test_what_is_no_url_is_refused(client: BotConnectorClient) -> None:
    with pytest.raises(ChannelRefused):
        await client.send(HELLO, at=chat("http://"))


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_connection_that_is_cut_leaves_it_open_what_became_of_the_message(
    client: BotConnectorClient, server: ScriptedConnector, when: str
) -> None:
    server.faults.next_answers({"cut": when})
    with pytest.raises(DeliveryAmbiguous):
        await client.send(HELLO, at=chat(server.url))


async def test_a_creation_that_tells_no_id_is_refused(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    server.faults.next_answers({"status": 201, "body": {}})
    with pytest.raises(ChannelRefused, match="no id"):
        await client.create_conversation({"members": [{"id": "u"}]}, service_url=server.url, tenant_id=TENANT)


async def test_where_only_the_body_is_lost_the_status_tells_that_it_was_taken(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    server.faults.next_answers({"cut": "mid-body"})
    assert (await client.send(HELLO, at=chat(server.url))).activity_id is None


async def test_a_body_without_end_is_not_read_to_its_end(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    endless = {"status": 200, "body": {"id": "a-1", "filler": "x" * LARGEST_ANSWER}}
    server.faults.next_answers(endless, endless)
    assert (await client.send(HELLO, at=chat(server.url))).activity_id is None
    with pytest.raises(ChannelBusy):
        await client.members(at=chat(server.url))


@pytest.mark.parametrize("odd", [5, {"x": 1}, ["x"], ""])
async def test_an_answer_with_values_of_other_types_tells_nothing(
    client: BotConnectorClient, server: ScriptedConnector, odd: Any
) -> None:
    body = {"id": odd, "activityId": odd, "members": {"x": 1}, "continuationToken": odd}
    server.faults.next_answers(*[{"status": 200, "body": body}] * 2)
    assert (await client.send(HELLO, at=chat(server.url))).activity_id is None
    assert await client.members(at=chat(server.url)) == []


@pytest.mark.parametrize("step", [".", ".."])
async def test_an_id_that_would_lead_to_another_resource_is_refused(
    client: BotConnectorClient, server: ScriptedConnector, step: str
) -> None:
    with pytest.raises(ChannelRefused):
        await client.send(HELLO, at=Place(service_url=server.url, conversation_id=step))
    with pytest.raises(ChannelRefused):
        await client.delete(at=chat(server.url), activity_id=step)
    assert server.calls == []


@pytest.mark.parametrize(
    "fault", [{"error": "BadGateway"}, {"error": "ServiceError", "accepted": True}, {"status": 408}]
)
async def test_what_may_be_repeated_is_never_ambiguous(
    client: BotConnectorClient, server: ScriptedConnector, fault: dict[str, Any]
) -> None:
    one_member = {"members": [{"id": "u"}]}
    for repeatable in (
        lambda: client.update(HELLO, at=chat(server.url), activity_id="1"),
        lambda: client.delete(at=chat(server.url), activity_id="1"),
        lambda: client.create_conversation(one_member, service_url=server.url, tenant_id=TENANT),
        lambda: client.members(at=chat(server.url)),
    ):
        server.faults.next_answers(fault)
        with pytest.raises(ChannelBusy):
            await repeatable()


async def test_beginning_a_thread_is_a_send_and_may_be_ambiguous(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    thread = {
        "isGroup": True,
        "channelData": {"channel": {"id": "19:general@thread.tacv2"}},
        "activity": HELLO,
    }
    begun = await client.create_conversation(thread, service_url=server.url, tenant_id=TENANT)
    assert begun.conversation_id.startswith("19:general@thread.tacv2;messageid=")
    assert begun.activity_id
    for unclear in ({"cut": "after"}, {"cut": "mid-body"}, {"status": 202}, {"status": 408}):
        server.faults.next_answers(unclear)
        with pytest.raises(DeliveryAmbiguous):
            await client.create_conversation(thread, service_url=server.url, tenant_id=TENANT)


async def test_the_channels_own_ids_of_a_request_are_kept(
    client: BotConnectorClient, server: ScriptedConnector
) -> None:
    sent = await client.send(HELLO, at=chat(server.url))
    assert re.fullmatch(r"MS-CV=testconnector\.\d+; x-ms-conversation-id=.+", sent.trace)
    server.faults.next_answers({"error": "BadSyntax"})
    with pytest.raises(ChannelRefused) as refused:
        await client.send(HELLO, at=chat(server.url))
    assert refused.value.trace.startswith("MS-CV=")


async def test_the_members_come_page_by_page(client: BotConnectorClient, server: ScriptedConnector) -> None:
    everyone = [{"id": f"29:user-{number}", "name": f"User {number}"} for number in range(1203)]
    general = Place(service_url=server.url, conversation_id="19:general@thread.tacv2", tenant_id=TENANT)
    server.api.conversations.add(general.conversation_id, members=everyone, tenant_id=TENANT)
    assert await client.members(at=general) == everyone
    assert [call.operation for call in server.calls] == ["pagedmembers"] * 3


class TestWrongHost:
    """403 InvalidBotApiHost: the other host is tried once, and remembered."""

    @pytest.fixture
    async def other(self) -> AsyncIterator[ScriptedConnector]:
        async with running() as server:
            yield server

    @pytest.fixture
    async def client(
        self, server: ScriptedConnector, other: ScriptedConnector
    ) -> AsyncIterator[BotConnectorClient]:
        host = URL(server.url).host
        assert host
        client = BotConnectorClient(
            NoCredentials(), hosts=ServiceHosts(with_loopback=True), other_service_urls={host: other.url}
        )
        yield client
        await client.close()

    async def test_the_host_is_switched_once_and_remembered_for_the_tenant(
        self, client: BotConnectorClient, server: ScriptedConnector, other: ScriptedConnector
    ) -> None:
        server.faults.next_answers({"error": "InvalidBotApiHost"})
        for _ in range(2):
            sent = await client.send(HELLO, at=chat(server.url))
            assert sent.service_url == other.url
        assert (len(server.calls), len(other.calls)) == (1, 2)

    async def test_where_the_other_host_is_wrong_too_it_is_refused(
        self, client: BotConnectorClient, server: ScriptedConnector, other: ScriptedConnector
    ) -> None:
        for connector in (server, other):
            connector.faults.next_answers({"error": "InvalidBotApiHost"})
        with pytest.raises(ChannelRefused, match="InvalidBotApiHost"):
            await client.send(HELLO, at=chat(server.url))
        assert (len(server.calls), len(other.calls)) == (1, 1)

    async def test_a_tenant_that_moves_back_is_followed(
        self, server: ScriptedConnector, other: ScriptedConnector
    ) -> None:
        elsewhere = str(URL(other.url).with_host("localhost"))
        client = BotConnectorClient(
            NoCredentials(),
            hosts=ServiceHosts(with_loopback=True),
            other_service_urls={"127.0.0.1": elsewhere, "localhost": server.url},
        )
        taken_at = []
        for connector in (server, other):
            connector.faults.next_answers({"error": "InvalidBotApiHost"})
            taken_at.append((await client.send(HELLO, at=chat(server.url))).service_url)
        await client.close()
        assert taken_at == [elsewhere, server.url]
        assert [len(server.calls), len(other.calls)] == [2, 2]
