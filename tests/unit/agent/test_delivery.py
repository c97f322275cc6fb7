"""One proactive message to its conversation, once."""

import base64
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.addressing import ConversationUnknown
from agent.conversation import Conversation
from agent.delivery import (
    SEND_HOLDS,
    DeliveryInProgress,
    close_undelivered,
    deliver,
    note_unusable,
    unusable_id,
)
from agent.delivery_record import DeliveryRecord
from agent.ports import (
    ChannelBusy,
    ChannelRefused,
    ConversationGone,
    ConversationNotFound,
    DeliveryAmbiguous,
    TokenRefused,
)
from agent.proactive_message import (
    ProactiveMessage,
    ToConversation,
    ToUser,
    UnusableMessage,
    parse_proactive_message,
)
from tests.unit.turns import TENANT, USER

ALEX = ToUser(tenant_id=TENANT, aad_object_id=USER)
CHAT = ToConversation(channel_id="msteams", conversation_id="a:chat")


def message(**fields: Any) -> ProactiveMessage:
    return ProactiveMessage(**{"delivery_id": "d-1", "to": ALEX, "text": "Hello proactive world", **fields})


def chat(**fields: Any) -> Conversation:
    return Conversation(
        **{
            "channel_id": "msteams",
            "conversation_id": "a:chat",
            "service_url": "https://smba.example/amer/",
            "conversation_type": "personal",
            "tenant_id": TENANT,
            "aad_object_id": USER,
            **fields,
        }
    )


async def send(services: InMemoryServices, what: ProactiveMessage) -> DeliveryRecord:
    return await deliver(
        what,
        ledger=services.ledger,
        conversations=services.conversations,
        connector=services.connector,
        options=services.delivery_options,
        clock=services.clock,
    )


async def test_a_message_goes_to_the_conversation_in_which_the_user_was_heard() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    record = await send(services, message())
    (call,) = services.connector.calls
    assert (call.method, call.service_url, call.conversation_id) == (
        "send",
        "https://smba.example/amer/",
        "a:chat",
    )
    assert call.body == {"type": "message", "text": "Hello proactive world"}
    assert (record.state, record.activity_id, record.attempts) == ("sent", "sent-1", 1)


async def test_an_id_that_was_sent_is_never_sent_again() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    for _ in range(3):
        await send(services, message())
    assert len(services.connector.calls) == 1


async def test_the_conversation_of_an_unheard_user_is_created_once_and_remembered() -> None:
    services = InMemoryServices()
    await send(services, message())
    await send(services, message(delivery_id="d-2"))
    created, *sent = services.connector.calls
    assert created.method == "create_conversation"
    assert created.service_url == "https://smba.example/teams/"
    assert created.body == {
        "isGroup": False,
        "members": [{"id": USER}],
        "tenantId": TENANT,
        "channelData": {"tenant": {"id": TENANT}},
        "bot": {"id": "28:agent"},
    }
    assert [call.conversation_id for call in sent] == ["a:created-1", "a:created-1"]


async def test_a_conversation_in_copilot_is_created_as_the_article_shows_field_by_field() -> None:
    services = InMemoryServices(route="copilot")
    await send(services, message())
    created, sent = services.connector.calls
    assert created.body == {
        "members": [{"id": USER}],
        "tenantId": TENANT,
        "channelData": {
            "productContext": "Copilot",
            "conversation": {"conversationSubType": "AgentProactive"},
        },
    }
    assert sent.conversation_id == "a:created-1"
    thread = await services.conversations.find("msteams", "a:created-1")
    assert thread is not None
    assert thread.is_from_copilot
    assert sent.body == {"text": "Hello proactive world", "type": "message"}


async def test_on_the_copilot_route_the_thread_of_its_own_is_used_though_a_teams_chat_is_known() -> None:
    services = InMemoryServices(route="copilot")
    await services.conversations.heard(chat(), at=services.clock.now())
    await send(services, message())
    await send(services, message(delivery_id="d-2"))
    created, *sent = services.connector.calls
    assert created.service_url == "https://smba.example/amer/"
    assert [call.conversation_id for call in sent] == ["a:created-1", "a:created-1"]


async def test_a_users_conversation_that_the_channel_has_lost_is_created_anew_once() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    services.connector.errors.append(ConversationNotFound("the channel answered 404"))
    assert (await send(services, message())).state == "sent"
    created, sent = services.connector.calls
    assert (created.method, created.service_url) == ("create_conversation", "https://smba.example/amer/")
    assert sent.conversation_id == "a:created-1"
    await send(services, message(delivery_id="d-2"))
    assert services.connector.calls[-1].conversation_id == "a:created-1"


async def test_a_conversation_that_is_lost_twice_is_gone() -> None:
    services = InMemoryServices()
    await send(services, message())
    lost = ConversationNotFound("the channel answered 404")
    create = services.connector.create_conversation

    async def create_and_lose(parameters: dict[str, Any], **where: Any) -> Any:
        created = await create(parameters, **where)
        services.connector.errors.append(lost)
        return created

    services.connector.errors.append(lost)
    services.connector.create_conversation = create_and_lose  # type: ignore[method-assign]
    assert (await send(services, message(delivery_id="d-2"))).state == "gone"


async def test_a_known_conversation_that_the_channel_has_lost_is_gone() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    services.connector.errors.append(ConversationNotFound("the channel answered 404"))
    assert (await send(services, message(to=CHAT))).state == "gone"
    assert services.connector.calls == []


async def test_a_card_is_attached() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    await send(services, message(text="", card={"type": "AdaptiveCard"}))
    assert services.connector.calls[0].body == {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "content": {"type": "AdaptiveCard"}}
        ],
    }


async def test_an_expired_message_is_not_sent() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    record = await send(services, message(expires_at=services.clock.now()))
    assert record.state == "expired"
    assert services.connector.calls == []


async def test_a_user_who_blocked_the_agent_is_gone_until_heard_again() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    services.connector.errors.append(ConversationGone("the channel answered 403 MessageWritesBlocked"))
    assert (await send(services, message())).state == "gone"
    assert (await send(services, message(delivery_id="d-2"))).state == "gone"
    assert services.connector.calls == []
    await services.conversations.heard(chat(), at=services.clock.now())
    assert (await send(services, message(delivery_id="d-3"))).state == "sent"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ChannelBusy("429", retry_after=timedelta(seconds=1)), "ChannelBusy: 429"),
        (TokenRefused("Entra gave no token"), "TokenRefused: Entra gave no token"),
        (DeliveryAmbiguous("no answer"), "DeliveryAmbiguous: no answer"),
        (TimeoutError(), "TimeoutError"),
        (RuntimeError("something that quotes a secret"), "RuntimeError"),
    ],
)
async def test_an_attempt_that_fails_leaves_its_reason_and_the_next_one_may_send(
    error: Exception, reason: str
) -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    services.connector.errors.append(error)
    with pytest.raises(type(error)):
        await send(services, message())
    record = await services.ledger.read("d-1")
    assert record is not None
    assert (record.state, record.reason) == ("retrying", reason)
    assert (await send(services, message())).attempts == 2


async def test_what_the_channel_refuses_has_failed_at_once_and_is_kept() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    services.connector.errors.append(ChannelRefused("the channel answered 400 BadSyntax"))
    record = await send(services, message())
    assert (record.state, record.attempts) == ("failed", 1)
    assert parse_proactive_message(record.body) == message()
    assert (await send(services, message())).state == "failed"
    assert services.connector.calls == []


async def test_a_message_that_may_have_arrived_is_sent_again_once_and_no_more() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    services.connector.errors.extend([DeliveryAmbiguous("no answer"), DeliveryAmbiguous("no answer")])
    with pytest.raises(DeliveryAmbiguous):
        await send(services, message())
    record = await send(services, message())
    assert (record.state, record.ambiguities, record.attempts) == ("failed", 2, 2)
    assert (await send(services, message())).state == "failed"
    assert services.connector.calls == []


async def test_a_record_that_has_ended_is_left_as_it_is_by_the_poison_queue() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    sent = await send(services, message())
    body = msgspec.json.encode(message())
    assert await close_undelivered(body, ledger=services.ledger, clock=services.clock) == sent
    assert await services.ledger.read("d-1") == sent


async def test_a_created_conversation_that_went_is_created_anew_once_the_user_is_heard_again() -> None:
    services = InMemoryServices(route="copilot")
    await send(services, message())
    services.connector.errors.append(ConversationGone("the channel answered 403 MessageWritesBlocked"))
    assert (await send(services, message(delivery_id="d-2"))).state == "gone"
    assert (await send(services, message(delivery_id="d-3"))).state == "gone"
    services.clock.step(timedelta(seconds=1))
    await services.conversations.heard(chat(), at=services.clock.now())
    assert (await send(services, message(delivery_id="d-4"))).state == "sent"
    assert [call.method for call in services.connector.calls].count("create_conversation") == 2


async def test_a_conversation_that_was_never_heard_is_a_failed_attempt() -> None:
    services = InMemoryServices()
    with pytest.raises(ConversationUnknown):
        await send(services, message(to=CHAT))
    record = await services.ledger.read("d-1")
    assert record is not None
    assert "ConversationUnknown" in record.reason


async def test_while_one_process_sends_another_does_not_and_after_the_time_out_it_does() -> None:
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    now = services.clock.now()
    await services.ledger.insert(
        DeliveryRecord(delivery_id="d-1", state="sending", updated_at=now, attempts=1)
    )
    with pytest.raises(DeliveryInProgress):
        await send(services, message())
    services.clock.step(SEND_HOLDS)
    assert (await send(services, message())).state == "sent"


async def test_a_poisoned_message_closes_its_record_with_the_last_reason_and_keeps_its_body() -> None:
    services = InMemoryServices()
    to = {"kind": "conversation", "channelId": "msteams", "conversationId": "a:never-heard"}
    body = json.dumps({"deliveryId": "d-1", "to": to, "text": "hi"}).encode()
    with pytest.raises(ConversationUnknown):
        await send(services, parse_proactive_message(body))
    record = await close_undelivered(body, ledger=services.ledger, clock=services.clock)
    assert record.state == "failed"
    assert "ConversationUnknown" in record.reason
    assert record.body == body
    assert (await send(services, parse_proactive_message(body))).state == "failed"


async def test_a_body_that_cannot_be_read_ends_in_the_ledger_with_its_reason() -> None:
    services = InMemoryServices()
    body = b"order a laptop \xff"
    error = UnusableMessage("The body is not a proactive message")
    await note_unusable(body, error, ledger=services.ledger, clock=services.clock)
    noted = await services.ledger.read(unusable_id(body))
    assert noted is not None
    assert (noted.state, noted.attempts) == ("retrying", 1)
    closed = await close_undelivered(body, ledger=services.ledger, clock=services.clock)
    assert (closed.state, closed.body, closed.delivery_id) == ("failed", body, unusable_id(body))
    assert "UnusableMessage" in closed.reason


async def test_a_message_put_straight_into_the_poison_queue_is_closed_too() -> None:
    services = InMemoryServices()
    body = json.dumps(
        {"deliveryId": "d-9", "to": {"kind": "user", "tenantId": TENANT, "aadObjectId": USER}, "text": "hi"}
    ).encode()
    record = await close_undelivered(body, ledger=services.ledger, clock=services.clock)
    assert (record.delivery_id, record.state, record.reason) == (
        "d-9",
        "failed",
        "came to the poison queue",
    )


GOOD = {"deliveryId": "d-1", "to": {"kind": "user", "tenantId": TENANT, "aadObjectId": USER}, "text": "hi"}


@pytest.mark.parametrize("encode", [lambda text: text, base64.b64encode])
def test_json_and_base64_of_json_are_read(encode: Any) -> None:
    assert parse_proactive_message(encode(json.dumps(GOOD).encode())) == ProactiveMessage(
        delivery_id="d-1", to=ALEX, text="hi"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b"bm90IGpzb24=",
        json.dumps({**GOOD, "text": ""}).encode(),
        json.dumps({**GOOD, "deliveryId": "a b"}).encode(),
        json.dumps({**GOOD, "deliveryId": ""}).encode(),
        json.dumps({**GOOD, "deliveryId": "d-1\n"}).encode(),
        json.dumps({**GOOD, "version": 2}).encode(),
        json.dumps({**GOOD, "extra": 1}).encode(),
        json.dumps({**GOOD, "to": {"kind": "user"}}).encode(),
        json.dumps({**GOOD, "to": {"kind": "everybody"}}).encode(),
        json.dumps({**GOOD, "expiresAt": "tomorrow"}).encode(),
        json.dumps({**GOOD, "expiresAt": "2026-01-01T00:00:00"}).encode(),
    ],
)
def test_what_is_no_proactive_message_is_unusable(body: bytes) -> None:
    with pytest.raises(UnusableMessage, match="not a proactive message"):
        parse_proactive_message(body)


def test_nothing_is_quoted_of_a_body_that_cannot_be_read() -> None:
    for wrong in ({"my secret": 1}, {"to": {"kind": "my secret"}}, {"version": "my secret"}):
        with pytest.raises(UnusableMessage) as caught:
            parse_proactive_message(json.dumps({**GOOD, **wrong}).encode())
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
