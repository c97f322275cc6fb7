"""One proactive message to its conversation, once."""

import base64
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.addressing import ConversationUnknown
from agent.answer import Answer, Citation
from agent.conversation import Conversation
from agent.delivery import SEND_HOLDS, deliver
from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.ports import (
    ChannelBusy,
    ChannelRefused,
    ConversationGone,
    ConversationNotFound,
    DeliveryAmbiguous,
    MessageTooLarge,
    SendPaced,
    Sent,
    TokenRefused,
)
from agent.proactive_message import (
    ProactiveMessage,
    ToChannel,
    ToConversation,
    ToUser,
    UnusableMessage,
    parse_proactive_message,
)
from agent.setbacks import MOST_RESENDS
from agent.undelivered import close_undelivered, note_unusable, unusable_id
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


async def send(
    services: InMemoryServices, what: ProactiveMessage, when_ambiguous: WhenAmbiguous = "resend"
) -> DeliveryRecord:
    return await deliver(
        what,
        when_ambiguous=when_ambiguous,
        services=services,
    )


async def services_that_heard() -> InMemoryServices:
    """The ports, after a turn in Alex' chat."""
    services = InMemoryServices()
    await services.conversations.heard(chat(), at=services.clock.now())
    return services


async def test_a_message_goes_to_the_conversation_in_which_the_user_was_heard() -> None:
    services = await services_that_heard()
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
    services = await services_that_heard()
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
    services = await services_that_heard()
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
    services = await services_that_heard()
    services.connector.errors.append(ConversationNotFound("the channel answered 404"))
    assert (await send(services, message(to=CHAT))).state == "gone"
    assert services.connector.calls == []


async def test_a_card_is_attached() -> None:
    services = await services_that_heard()
    await send(services, message(text="", card={"type": "AdaptiveCard"}))
    assert services.connector.calls[0].body == {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "content": {"type": "AdaptiveCard"}}
        ],
    }


async def test_an_expired_message_is_not_sent() -> None:
    services = await services_that_heard()
    record = await send(services, message(expires_at=services.clock.now()))
    assert record.state == "expired"
    assert services.connector.calls == []


async def test_a_user_who_blocked_the_agent_is_gone_until_heard_again() -> None:
    services = await services_that_heard()
    services.connector.errors.append(ConversationGone("the channel answered 403 MessageWritesBlocked"))
    assert (await send(services, message())).state == "gone"
    assert (await send(services, message(delivery_id="d-2"))).state == "gone"
    assert services.connector.calls == []
    await services.conversations.heard(chat(), at=services.clock.now())
    assert (await send(services, message(delivery_id="d-3"))).state == "sent"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TokenRefused("Entra gave no token"), "TokenRefused: Entra gave no token"),
        (RuntimeError("something that quotes a secret"), "RuntimeError"),
    ],
)
async def test_an_attempt_that_breaks_leaves_its_reason_and_the_next_one_may_send(
    error: Exception, reason: str
) -> None:
    services = await services_that_heard()
    services.connector.errors.append(error)
    with pytest.raises(type(error)):
        await send(services, message())
    record = await services.ledger.read("d-1")
    assert record is not None
    assert (record.state, record.reason) == ("accepted", reason)
    assert (await send(services, message())).attempts == 2


async def test_a_busy_channel_is_waited_for_at_least_as_long_as_it_says_and_longer_each_time() -> None:
    services = await services_that_heard()
    waits = []
    for _ in range(4):
        services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=3)))
        record = await send(services, message())
        assert record.state == "busy"
        assert record.waits_until is not None
        assert await send(services, message()) == record  # before its time nothing is tried
        waits.append((record.waits_until - services.clock.now()).total_seconds())
        services.clock.step(record.waits_until - services.clock.now())
    assert waits == sorted(waits)
    assert 3 <= waits[0] <= 3.75
    assert 16 <= waits[3] <= 20
    assert (await send(services, message())).state == "sent"
    assert len(services.connector.texts) == 1


async def test_a_message_that_our_own_limits_hold_back_waits_no_longer_each_time() -> None:
    services = await services_that_heard()
    for _ in range(6):
        services.connector.errors.append(SendPaced("the limit", retry_after=timedelta(seconds=3)))
        record = await send(services, message())
        assert record.waits_until is not None
        wait = record.waits_until - services.clock.now()
        assert timedelta(seconds=3) <= wait <= timedelta(seconds=3.75)
        services.clock.step(wait)
    assert (await send(services, message())).attempts == 1


async def test_two_messages_that_are_refused_together_do_not_come_back_together() -> None:
    services = await services_that_heard()
    records = []
    for number in range(5):
        services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=60)))
        records.append(await send(services, message(delivery_id=f"d-{number}")))
    assert len({record.waits_until for record in records}) == 5


@pytest.mark.parametrize("refusal", [ChannelRefused, MessageTooLarge])
async def test_what_the_channel_refuses_has_failed_at_once_and_is_kept(refusal: type[ChannelRefused]) -> None:
    services = await services_that_heard()
    services.connector.errors.append(refusal("the channel answered 400 BadSyntax", trace="MS-CV=abc"))
    record = await send(services, message())
    assert (record.state, record.attempts, record.trace) == ("failed", 1, "MS-CV=abc")
    assert record.reason.startswith(refusal.__name__)
    assert parse_proactive_message(record.body) == message()
    assert (await send(services, message())).state == "failed"
    assert services.connector.calls == []


@pytest.mark.parametrize("error", [DeliveryAmbiguous("no answer"), TimeoutError()])
async def test_what_may_have_arrived_is_never_sent_again_where_it_is_to_be_held(error: Exception) -> None:
    services = await services_that_heard()
    services.connector.errors.append(error)
    record = await send(services, message(), "hold")
    assert (record.state, record.ambiguities, record.has_ended) == ("ambiguous", 1, True)
    assert parse_proactive_message(record.body) == message()
    services.clock.step(timedelta(days=1))
    assert await send(services, message(), "hold") == record
    assert services.connector.calls == []


async def test_what_may_have_arrived_is_sent_again_after_a_wait_where_that_is_asked_for() -> None:
    services = await services_that_heard()
    services.connector.errors.append(DeliveryAmbiguous("no answer"))
    record = await send(services, message())
    assert (record.state, record.has_ended) == ("ambiguous", False)
    assert record.waits_until is not None
    services.clock.step(record.waits_until - services.clock.now())
    record = await send(services, message())
    assert (record.state, record.ambiguities, record.attempts, record.reason) == ("sent", 1, 2, "")


async def test_what_is_refused_after_it_may_have_arrived_is_ambiguous() -> None:
    services = await services_that_heard()
    services.connector.errors.extend([DeliveryAmbiguous("no answer"), ChannelRefused("400")])
    await send(services, message())
    services.clock.step(timedelta(minutes=1))
    record = await send(services, message())
    assert (record.state, record.has_ended, record.reason) == ("ambiguous", True, "ChannelRefused: 400")


async def test_what_never_gets_an_answer_is_given_up_as_ambiguous() -> None:
    services = await services_that_heard()
    for _ in range(MOST_RESENDS + 1):
        services.connector.errors.append(DeliveryAmbiguous("no answer"))
        record = await send(services, message())
        services.clock.step(timedelta(hours=2))
    assert (record.state, record.has_ended, record.attempts) == ("ambiguous", True, MOST_RESENDS + 1)
    assert await send(services, message()) == record


async def test_a_message_that_is_too_long_goes_in_parts_and_each_part_once() -> None:
    services = await services_that_heard()
    services.delivery_options = msgspec.structs.replace(services.delivery_options, max_activity_bytes=400)
    long = message(text="\n\n".join(f"Paragraph {number}. " + "x" * 100 for number in range(3)))
    take, taken = services.connector.send, []

    async def busy_at_the_second(outgoing: dict[str, Any], **where: Any) -> Sent:
        taken.append(outgoing["text"][:11])
        if len(taken) == 2:
            raise ChannelBusy("429", retry_after=timedelta(seconds=1))
        return await take(outgoing, **where)

    services.connector.send = busy_at_the_second  # type: ignore[method-assign]
    record = await send(services, long)
    assert (record.state, record.parts_sent) == ("busy", 1)
    services.clock.step(timedelta(minutes=1))
    assert (await send(services, long)).state == "sent"
    assert taken == ["Paragraph 0", "Paragraph 1", "Paragraph 1", "Paragraph 2"]


async def test_a_message_that_another_process_took_over_between_its_parts_is_left_to_it() -> None:
    services = await services_that_heard()
    services.delivery_options = msgspec.structs.replace(services.delivery_options, max_activity_bytes=400)
    take = services.connector.send

    async def taken_over_meanwhile(outgoing: dict[str, Any], **where: Any) -> Sent:
        record = await services.ledger.read("d-1")
        assert record is not None
        assert await services.ledger.replace(record)
        return await take(outgoing, **where)

    services.connector.send = taken_over_meanwhile  # type: ignore[method-assign]
    told = await send(services, message(text="a" * 150 + "\n\n" + "b" * 150))
    assert (told.state, services.connector.texts) == ("busy", ["a" * 150])


async def test_a_host_that_the_channel_changed_is_remembered() -> None:
    services = await services_that_heard()
    take = services.connector.send

    async def taken_elsewhere(outgoing: dict[str, Any], **where: Any) -> Sent:
        sent = await take(outgoing, **where)
        return msgspec.structs.replace(sent, service_url="https://smba.example/gcc/")

    services.connector.send = taken_elsewhere  # type: ignore[method-assign]
    await send(services, message())
    services.connector.send = take  # type: ignore[method-assign]
    await send(services, message(delivery_id="d-2"))
    assert services.connector.calls[-1].service_url == "https://smba.example/gcc/"


async def test_a_thread_is_begun_in_a_channel_and_later_parts_go_into_it() -> None:
    services = InMemoryServices()
    services.delivery_options = msgspec.structs.replace(services.delivery_options, max_activity_bytes=400)
    general = ToChannel(tenant_id=TENANT, teams_channel_id="19:general@thread.tacv2")
    record = await send(services, message(to=general, text="a" * 150 + "\n\n" + "b" * 150))
    begun, second = services.connector.calls
    assert begun.body == {
        "isGroup": True,
        "channelData": {"channel": {"id": "19:general@thread.tacv2"}, "tenant": {"id": TENANT}},
        "tenantId": TENANT,
        "activity": {"type": "message", "text": "a" * 150},
        "bot": {"id": "28:agent"},
    }
    assert (begun.service_url, begun.tenant_id) == ("https://smba.example/teams/", TENANT)
    assert (second.conversation_id, second.tenant_id) == ("a:created-1", TENANT)
    assert (record.state, record.conversation_id) == ("sent", "a:created-1")


async def test_a_record_that_has_ended_is_left_as_it_is_by_the_poison_queue() -> None:
    services = await services_that_heard()
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


async def being_sent(services: InMemoryServices) -> None:
    now = services.clock.now()
    first = DeliveryRecord(delivery_id="d-1", state="sending", updated_at=now, attempts=1)
    await services.ledger.insert(first)


async def test_while_one_process_sends_another_is_told_when_to_come_back() -> None:
    services = await services_that_heard()
    await being_sent(services)
    services.clock.step(SEND_HOLDS / 2)
    told = await send(services, message())
    assert (told.state, told.waits_until) == ("busy", services.clock.now() + SEND_HOLDS / 2)
    record = await services.ledger.read("d-1")
    assert record is not None
    assert record.state == "sending"


async def test_what_a_process_was_sending_when_it_died_is_ambiguous() -> None:
    services = await services_that_heard()
    await being_sent(services)
    services.clock.step(SEND_HOLDS)
    record = await send(services, message(), "hold")
    assert (record.state, record.has_ended, record.ambiguities) == ("ambiguous", True, 1)
    assert parse_proactive_message(record.body) == message()
    assert services.connector.calls == []


async def test_what_a_process_was_sending_when_it_died_is_sent_again_where_that_is_asked_for() -> None:
    services = await services_that_heard()
    await being_sent(services)
    services.clock.step(SEND_HOLDS)
    record = await send(services, message())
    assert (record.state, record.ambiguities, record.attempts) == ("sent", 1, 2)


async def test_what_was_being_sent_when_it_came_to_the_poison_queue_is_ambiguous() -> None:
    services = await services_that_heard()
    await being_sent(services)
    body = msgspec.json.encode(message())
    closed = await close_undelivered(body, ledger=services.ledger, clock=services.clock)
    assert (closed.state, closed.has_ended, closed.body) == ("ambiguous", True, body)


async def test_what_may_have_arrived_is_ambiguous_when_it_comes_to_the_poison_queue_later() -> None:
    services = await services_that_heard()
    services.connector.errors.extend([DeliveryAmbiguous("no answer"), RuntimeError("whatever")])
    await send(services, message())
    services.clock.step(timedelta(minutes=1))
    with pytest.raises(RuntimeError):
        await send(services, message())
    closed = await close_undelivered(
        msgspec.json.encode(message()), ledger=services.ledger, clock=services.clock
    )
    assert (closed.state, closed.has_ended) == ("ambiguous", True)


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
    assert (noted.state, noted.attempts) == ("accepted", 1)
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
        "given up",
    )


GOOD = {"deliveryId": "d-1", "to": {"kind": "user", "tenantId": TENANT, "aadObjectId": USER}, "text": "hi"}


@pytest.mark.parametrize("encode", [lambda text: text, base64.b64encode])
def test_json_and_base64_of_json_are_read(encode: Any) -> None:
    assert parse_proactive_message(encode(json.dumps(GOOD).encode())) == ProactiveMessage(
        delivery_id="d-1", to=ALEX, text="hi"
    )


def test_a_sender_may_give_sources_and_say_that_it_was_generated() -> None:
    source = {"title": "Guide", "url": "https://example.com/guide", "abstract": "How it works."}
    sent = {**GOOD, "text": "Yes [1].", "citations": [source], "isGenerated": True}
    message = parse_proactive_message(json.dumps(sent).encode())
    guide = Citation(title="Guide", url="https://example.com/guide", abstract="How it works.")
    assert message.answer == Answer("Yes [1].", citations=(guide,), is_generated=True)
    assert parse_proactive_message(msgspec.json.encode(message)) == message


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
        json.dumps({**GOOD, "citations": [{"title": "Guide"}] * 21}).encode(),
        json.dumps({**GOOD, "citations": [{"title": ""}]}).encode(),
        json.dumps({**GOOD, "citations": [{"title": "Guide", "url": "guide.html"}]}).encode(),
        json.dumps({**GOOD, "citations": [{"title": "Guide", "link": "https://example.com"}]}).encode(),
        json.dumps({**GOOD, "text": "", "card": {"a": 1}, "citations": [{"title": "Guide"}]}).encode(),
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
    for wrong in (
        {"my secret": 1},
        {"it`s my secret": 1},
        {"to": {"kind": "my secret"}},
        {"to": {"kind": 'it\'s "my" secret\n- at `my secret`'}},
        {"version": "my secret"},
    ):
        with pytest.raises(UnusableMessage) as caught:
            parse_proactive_message(json.dumps({**GOOD, **wrong}).encode())
        assert "secret" not in str(caught.value)
        assert "to" not in wrong or str(caught.value).endswith("- at `$.to.kind`")
        assert caught.value.__cause__ is None
