"""A message that ends a stream, once: as its final, or as a message of its own where the stream has ended."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from adapters.connector_client import BotConnectorClient
from adapters.credentials import NoCredentials
from adapters.in_memory import InMemoryServices
from adapters.service_hosts import ServiceHosts
from agent.conversation import Conversation
from agent.delivery import SEND_HOLDS, deliver
from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.ports import (
    ChannelBusy,
    ChannelRefused,
    Connector,
    ConversationGone,
    DeliveryAmbiguous,
    MessageTooLarge,
    StreamEnded,
    StreamPartDropped,
)
from agent.proactive_message import ProactiveMessage, ToConversation
from agent.stream import OpenStream, informative, streaming
from testconnector.options import Options
from testconnector.server import ScriptedConnector, running

CHAT = ToConversation(channel_id="msteams", conversation_id="a:chat")
STREAM = OpenStream(stream_id="s-1", text="A lap")
LATER = timedelta(minutes=1)


def message(**fields: Any) -> ProactiveMessage:
    return ProactiveMessage(**{"delivery_id": "job.1", "to": CHAT, "text": "A laptop comes.", **fields})


def ended(why: Any) -> StreamEnded:
    return StreamEnded("the channel answered 403", why=why)


async def send(
    services: InMemoryServices,
    what: ProactiveMessage | None = None,
    when_ambiguous: WhenAmbiguous = "resend",
    stream: OpenStream = STREAM,
    connector: Connector | None = None,
) -> DeliveryRecord:
    if connector:
        services.connector = connector  # type: ignore[assignment]
    return await deliver(
        what or message(),
        when_ambiguous=when_ambiguous,
        services=services,
        stream=stream,
    )


def said(services: InMemoryServices) -> list[tuple[str, str]]:
    """What was taken, in order: ``final`` or ``message``, and the text."""
    bodies = [call.body or {} for call in services.connector.calls]
    return [("final" if "entities" in body else "message", body.get("text", "")) for body in bodies]


async def services_that_heard(service_url: str = "https://smba.example/amer/") -> InMemoryServices:
    services = InMemoryServices()
    chat = Conversation(
        channel_id="msteams",
        conversation_id="a:chat",
        service_url=service_url,
        conversation_type="personal",
    )
    await services.conversations.heard(chat, at=services.clock.now())
    return services


@pytest.fixture
async def services() -> InMemoryServices:
    return await services_that_heard()


async def test_the_message_is_the_streams_final(services: InMemoryServices) -> None:
    record = await send(services)
    (call,) = services.connector.calls
    assert call.body == {
        "type": "message",
        "text": "A laptop comes.",
        "entities": [{"type": "streaminfo", "streamId": "s-1", "streamType": "final"}],
    }
    assert (record.state, record.activity_id, record.attempts) == ("sent", "s-1", 1)
    await send(services)
    assert len(services.connector.calls) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        *map(ended, ("stopped", "over", "refused", "completed")),
        ChannelRefused("400"),
        MessageTooLarge("413"),
        StreamPartDropped("202"),
    ],
)
async def test_what_the_stream_does_not_take_goes_as_a_message_in_the_same_attempt(
    services: InMemoryServices, refusal: Exception
) -> None:
    services.connector.errors.append(refusal)
    record = await send(services)
    assert said(services) == [("message", "A laptop comes.")]
    assert (record.state, record.activity_id, record.attempts, record.reason) == ("sent", "sent-1", 1, "")


async def test_a_message_that_would_change_what_was_streamed_is_not_tried_as_the_final(
    services: InMemoryServices,
) -> None:
    await send(services, message(text="No laptop."))
    assert said(services) == [("message", "No laptop.")]


async def test_of_a_message_in_parts_the_first_ends_the_stream(services: InMemoryServices) -> None:
    long = "A laptop comes. " * 3000
    await send(services, message(text=long))
    assert [kind for kind, _ in said(services)] == ["final", "message"]


async def test_a_final_that_may_have_arrived_is_made_again_and_known_by_its_refusal(
    services: InMemoryServices,
) -> None:
    services.connector.errors.append(DeliveryAmbiguous("502"))
    waits = await send(services)
    assert (waits.state, waits.waits_until is not None) == ("ambiguous", True)
    services.clock.step(LATER)
    services.connector.errors.append(ended("completed"))
    record = await send(services)
    assert (record.state, record.activity_id, record.conversation_id) == ("sent", "s-1", "a:chat")
    assert said(services) == []


async def test_a_final_that_had_not_arrived_arrives_at_the_next_attempt(services: InMemoryServices) -> None:
    services.connector.errors.append(DeliveryAmbiguous("502"))
    await send(services)
    services.clock.step(LATER)
    assert (await send(services)).state == "sent"
    assert said(services) == [("final", "A laptop comes.")]


async def test_a_final_that_may_have_arrived_in_a_stream_that_was_over_had_not(
    services: InMemoryServices,
) -> None:
    services.connector.errors.append(DeliveryAmbiguous("502"))
    await send(services)
    services.clock.step(LATER)
    services.connector.errors.append(ended("over"))
    assert (await send(services)).state == "sent"
    assert said(services) == [("message", "A laptop comes.")]


async def test_a_final_that_may_have_arrived_is_held_where_that_is_asked_for(
    services: InMemoryServices,
) -> None:
    services.connector.errors.append(DeliveryAmbiguous("502"))
    record = await send(services, when_ambiguous="hold")
    assert (record.state, record.has_ended) == ("ambiguous", True)
    services.clock.step(LATER)
    assert await send(services, when_ambiguous="hold") == record
    assert said(services) == []


async def test_a_stream_that_another_ended_tells_nothing_of_the_message_that_went_beside_it(
    services: InMemoryServices,
) -> None:
    services.connector.errors.extend([ended("completed"), DeliveryAmbiguous("502")])
    assert (await send(services)).is_beside_stream
    services.clock.step(LATER)
    assert (await send(services)).state == "sent"
    assert said(services) == [("message", "A laptop comes.")]


async def test_a_process_that_died_while_it_sent_the_final_is_followed_by_one_that_learns_of_it(
    services: InMemoryServices,
) -> None:
    died_at = services.clock.now()
    await services.ledger.insert(
        DeliveryRecord(delivery_id="job.1", state="sending", updated_at=died_at, attempts=1)
    )
    assert (await send(services)).state == "busy"
    services.clock.step(SEND_HOLDS)
    services.connector.errors.append(ended("completed"))
    record = await send(services)
    assert (record.state, record.attempts, said(services)) == ("sent", 2, [])


async def test_a_busy_channel_is_come_back_to_with_the_final(services: InMemoryServices) -> None:
    services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=1)))
    assert (await send(services)).state == "busy"
    services.clock.step(LATER)
    assert (await send(services)).state == "sent"
    assert said(services) == [("final", "A laptop comes.")]


async def test_a_user_who_blocked_the_agent_is_gone(services: InMemoryServices) -> None:
    services.connector.errors.append(ConversationGone("403"))
    assert (await send(services)).state == "gone"
    assert said(services) == []


class TestOnTeamsRules:
    """The same on a connector that holds Teams' rules."""

    @pytest.fixture
    async def server(self) -> AsyncIterator[ScriptedConnector]:
        self.now = 1000.0
        async with running(Options(clock=lambda: self.now, stream_pace=1.0)) as server:
            yield server

    @pytest.fixture
    async def client(self) -> AsyncIterator[BotConnectorClient]:
        client = BotConnectorClient(NoCredentials(), hosts=ServiceHosts(with_loopback=True))
        yield client
        await client.close()

    @pytest.fixture
    async def services(self, server: ScriptedConnector) -> InMemoryServices:
        return await services_that_heard(server.url)

    @pytest.fixture
    async def stream(
        self, services: InMemoryServices, client: BotConnectorClient, server: ScriptedConnector
    ) -> OpenStream:
        chat = await services.conversations.find("msteams", "a:chat")
        assert chat is not None
        begun = await client.send(informative("Looking", stream_id=None, sequence=1), at=chat.place)
        assert begun.activity_id
        self.now += 1
        await client.send(streaming("A lap", stream_id=begun.activity_id, sequence=2), at=chat.place)
        self.now += 1
        return OpenStream(stream_id=begun.activity_id, text="A lap")

    async def test_the_final_is_taken(
        self,
        services: InMemoryServices,
        client: BotConnectorClient,
        server: ScriptedConnector,
        stream: OpenStream,
    ) -> None:
        record = await send(services, stream=stream, connector=client)
        assert (record.state, record.activity_id) == ("sent", stream.stream_id)
        (shown,) = server.report()["streams"]
        assert (shown["text"], server.report()["streamRefusals"]) == ("A laptop comes.", {})

    @pytest.mark.parametrize("why", ["stopped", "over", "changed"])
    async def test_where_the_stream_has_ended_the_message_arrives_beside_it(
        self,
        services: InMemoryServices,
        client: BotConnectorClient,
        server: ScriptedConnector,
        stream: OpenStream,
        why: str,
    ) -> None:
        if why == "stopped":
            server.api.streams.cancel("a:chat")
        elif why == "over":
            self.now += 121
        unknown = OpenStream(stream_id=stream.stream_id)
        text = "No laptop." if why == "changed" else "A laptop comes."
        record = await send(services, message(text=text), stream=unknown, connector=client)
        assert record.state == "sent"
        assert record.activity_id != stream.stream_id
        assert [part["text"] for part in server.report()["streams"]] == ["A lap"]
        assert server.texts[-1] == text

    async def test_a_final_whose_answer_was_lost_is_not_sent_twice(
        self,
        services: InMemoryServices,
        client: BotConnectorClient,
        server: ScriptedConnector,
        stream: OpenStream,
    ) -> None:
        server.faults.next_answers({"error": "BadGateway", "accepted": True})
        assert (await send(services, stream=stream, connector=client)).state == "ambiguous"
        services.clock.step(LATER)
        self.now += 60
        assert (await send(services, stream=stream, connector=client)).state == "sent"
        assert server.texts.count("A laptop comes.") == 1
