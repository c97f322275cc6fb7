"""What the agent answers to a turn."""

import time
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from agent.answer import Answer
from agent.conversation import Conversation
from agent.delivery_record import WhenAmbiguous
from agent.incoming import BadTurn
from agent.jobs.catalog import JOBS
from agent.jobs.order_laptop import OrderLaptop
from agent.ports import ChannelBusy, ConversationGone, DeliveryAmbiguous
from agent.turn_claim import CLAIM_HOLDS
from agent.turn_trouble import SORRY
from tests.unit.turns import TENANT, USER, Channel, incoming_activity

THANKS = "Thank you for ordering a laptop. I will keep you posted with updates."


@pytest.fixture
def channel() -> Channel:
    return Channel()


def cards(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [attachment["content"] for body in said for attachment in body.get("attachments", [])]


@pytest.mark.parametrize(
    "text",
    [
        "order a laptop",
        "Order a laptop!",
        "  ORDER A LAPTOP  ",
        "Could you please order me a new laptop?",
        "Hi, I need a laptop, please.",
        "<at>Agent</at> order a laptop",
    ],
)
async def test_a_laptop_is_ordered_in_any_case_and_politeness(channel: Channel, text: str) -> None:
    await channel.deliver(incoming_activity(text=text))
    assert [job.kind for job in channel.started] == ["order_laptop"]
    assert channel.services.connector.said == [THANKS]


async def test_the_button_of_the_welcome_card_orders_a_laptop(channel: Channel) -> None:
    await channel.deliver(incoming_activity(text="hello"))
    (welcome,) = cards(channel.said())
    (button,) = [action for action in welcome["actions"] if action["title"] == "Order a laptop"]
    pressed = incoming_activity(id="incoming-2", value=button["data"])
    del pressed["text"]
    await channel.deliver(pressed)
    assert [job.kind for job in channel.started] == ["order_laptop"]
    assert channel.started[0].request == {"job": "order_laptop"}


@pytest.mark.parametrize(
    "text", ["don't order a laptop", "I do not want a laptop", "cancel, I need no laptop", "laptop", "order"]
)
async def test_what_asks_for_no_laptop_orders_none(channel: Channel, text: str) -> None:
    await channel.deliver(incoming_activity(text=text))
    assert channel.started == []


@pytest.mark.parametrize(
    "fields", [{"text": "the weather"}, {"text": ""}, {"text": None}, {"value": 7, "text": None}]
)
async def test_anything_else_gets_a_helpful_answer(channel: Channel, fields: dict[str, Any]) -> None:
    await channel.deliver(incoming_activity(**fields))
    (text,) = channel.services.connector.texts
    assert "order a laptop" in text
    assert channel.started == []


async def test_the_job_is_stored_before_it_is_acknowledged(channel: Channel) -> None:
    channel.services.connector.errors.append(ConnectionError("the process dies here"))
    with pytest.raises(ConnectionError):
        await channel.deliver(incoming_activity())
    assert len(channel.started) == 1
    assert channel.said() == []


async def test_a_redelivered_turn_starts_no_second_job_and_says_nothing(channel: Channel) -> None:
    for _ in range(3):
        await channel.deliver(incoming_activity())
    assert len(channel.started) == 1
    assert len(channel.said()) == 1


async def test_the_job_id_is_derived_from_channel_conversation_and_activity(channel: Channel) -> None:
    other_chat = {"id": "a:other", "conversationType": "personal", "tenantId": TENANT}
    for fields in ({}, {"id": "incoming-2"}, {"conversation": other_chat}, {"channelId": "emulator"}):
        await channel.deliver(incoming_activity(**fields))
    assert len({job.job_id for job in channel.started}) == 4


async def test_a_delivery_that_died_before_the_acknowledgement_is_made_good_by_the_next(
    channel: Channel,
) -> None:
    channel.services.connector.errors.append(ConnectionError("the process dies here"))
    with pytest.raises(ConnectionError):
        await channel.deliver(incoming_activity())
    await channel.deliver(incoming_activity())
    await channel.deliver(incoming_activity())
    assert len(channel.started) == 1
    assert len(channel.said()) == 1


async def test_a_delivery_that_died_before_the_job_was_stored_is_made_good_by_the_next(
    channel: Channel,
) -> None:
    heard = channel.services.conversations.heard

    async def die(conversation: Conversation, *, at: datetime) -> None:
        raise ConnectionError("the process dies here")

    channel.services.conversations.heard = die  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await channel.deliver(incoming_activity())
    channel.services.conversations.heard = heard  # type: ignore[method-assign]
    await channel.deliver(incoming_activity())
    assert len(channel.started) == 1
    assert channel.services.connector.said == [SORRY.text, THANKS]


async def test_a_busy_channel_leaves_the_turn_unacknowledged(channel: Channel) -> None:
    busy = ChannelBusy("the channel answered 429", retry_after=channel.services.retention)
    channel.services.connector.errors.append(busy)
    with pytest.raises(ChannelBusy):
        await channel.deliver(incoming_activity())
    await channel.deliver(incoming_activity())
    assert len(channel.said()) == 1


def execute(data: Any) -> dict[str, Any]:
    action = {"type": "Action.Execute", "verb": "order", "data": data}
    return incoming_activity(type="invoke", name="adaptiveCard/action", value={"action": action})


async def test_a_redelivered_invoke_gets_the_same_body(channel: Channel) -> None:
    first = await channel.deliver(execute({"job": "order_laptop"}))
    again = await channel.deliver(execute({"job": "order_laptop"}))
    assert first == again
    assert first is not None
    assert first.status == 200
    assert first.body["statusCode"] == 200
    assert first.body["type"] == "application/vnd.microsoft.activity.message"
    assert "Thank you" in first.body["value"]
    assert len(channel.started) == 1
    assert channel.said() == []


async def test_an_acknowledgement_that_is_a_card_is_told_in_words_to_who_pressed(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card in the response would take the place of the one with the button."""
    shown = {"type": "AdaptiveCard", "version": "1.5", "fallbackText": "A laptop is on its way.", "body": []}
    monkeypatch.setattr(OrderLaptop, "acknowledgement", lambda *_: Answer(card=shown))
    response = await channel.deliver(execute({"job": "order_laptop"}))
    assert response is not None
    assert response.body["value"] == "A laptop is on its way."


async def test_an_invoke_that_is_not_ours_is_not_implemented(channel: Channel) -> None:
    response = await channel.deliver(incoming_activity(type="invoke", name="task/fetch"))
    assert response is not None
    assert response.status == 501


@pytest.mark.parametrize(
    "value",
    [
        {"action": {"type": "Action.Execute", "data": {"job": "unknown"}}},
        {"action": {"type": "Action.Execute", "data": None}},
        {"action": {"type": "Action.Submit"}},
        {"action": "x"},
        {},
        None,
    ],
)
async def test_a_button_that_is_not_ours_is_answered_with_an_error(channel: Channel, value: Any) -> None:
    pressed = incoming_activity(type="invoke", name="adaptiveCard/action", value=value)
    response = await channel.deliver(pressed)
    assert await channel.deliver(pressed) == response
    assert response is not None
    assert (response.status, response.body["statusCode"]) == (200, 400)
    assert response.body["type"] == "application/vnd.microsoft.error"
    assert channel.started == []


async def test_expected_replies_are_given_in_the_response_body(channel: Channel) -> None:
    response = await channel.deliver(incoming_activity(deliveryMode="expectReplies"))
    again = await channel.deliver(incoming_activity(deliveryMode="expectReplies"))
    assert response == again
    assert response is not None
    (reply,) = response.body["activities"]
    assert "Thank you" in reply["text"]
    assert channel.said() == []


def installed(action: str = "add", **fields: Any) -> dict[str, Any]:
    return incoming_activity(type="installationUpdate", action=action, text=None, **fields)


def agent_added() -> dict[str, Any]:
    members = [{"id": "29:user"}, {"id": "28:agent"}]
    return incoming_activity(type="conversationUpdate", membersAdded=members, text=None)


@pytest.mark.parametrize("order", [1, -1])
async def test_the_welcome_comes_once_whichever_update_is_first(channel: Channel, order: int) -> None:
    for number, activity in enumerate([installed(), agent_added()][::order]):
        await channel.deliver({**activity, "id": f"update-{number}"})
    (welcome,) = cards(channel.said())
    assert [action["title"] for action in welcome["actions"]] == [job.title for job in JOBS]


async def test_a_member_who_joins_is_no_reason_for_a_welcome(channel: Channel) -> None:
    await channel.deliver({**agent_added(), "membersAdded": [{"id": "29:other"}]})
    assert channel.said() == []


async def test_an_upgrade_of_the_app_is_neither_arrival_nor_leave(channel: Channel) -> None:
    for number, action in enumerate(["add", "remove-upgrade", "add-upgrade"]):
        await channel.deliver(installed(action, id=f"update-{number}"))
    conversation = await channel.services.conversations.find("msteams", "a:chat")
    assert conversation is not None
    assert conversation.gone_at is None
    assert len(channel.said()) == 1


async def test_the_welcome_is_remembered_for_longer_than_the_turns(channel: Channel) -> None:
    await channel.deliver(installed())
    channel.services.clock.step(timedelta(days=400))
    assert await channel.services.turn_claims.forget_before(channel.services.clock.now()) == 1
    await channel.deliver(installed(id="update-2"))
    assert len(channel.said()) == 1


async def test_a_property_of_the_wrong_type_is_a_bad_turn_and_nothing_of_it_is_told(channel: Channel) -> None:
    with pytest.raises(BadTurn) as caught:
        await channel.deliver(incoming_activity(attachments="my secret text"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["get " * 25_000, "<at>" * 25_000, "<at " * 25_000, "order " * 25_000])
async def test_a_long_text_does_not_hold_the_others_up(channel: Channel, text: str) -> None:
    """The largest message of Teams is read in no time: a pattern that backtracks takes half a minute."""
    started = time.process_time()
    await channel.deliver(incoming_activity(text=text))
    assert time.process_time() - started < 2


async def test_an_agent_that_was_removed_marks_the_conversation_as_gone(channel: Channel) -> None:
    await channel.deliver(installed())
    await channel.deliver(installed("remove", id="update-2"))
    conversation = await channel.services.conversations.find("msteams", "a:chat")
    assert conversation is not None
    assert conversation.gone_at == channel.services.clock.now()


async def test_an_agent_that_comes_back_is_welcomed_again_and_no_longer_gone(channel: Channel) -> None:
    for number, action in enumerate(["add", "remove", "add"]):
        await channel.deliver(installed(action, id=f"update-{number}"))
    conversation = await channel.services.conversations.find("msteams", "a:chat")
    assert conversation is not None
    assert conversation.gone_at is None
    assert len(channel.said()) == 2


async def test_a_turn_in_a_conversation_that_is_gone_is_done_with(channel: Channel) -> None:
    channel.services.connector.errors.append(ConversationGone("the channel answered 403"))
    await channel.deliver(incoming_activity(text="hello"))
    conversation = await channel.services.conversations.find("msteams", "a:chat")
    assert conversation is not None
    assert conversation.gone_at is not None


async def test_a_group_turn_does_not_displace_the_personal_conversation(channel: Channel) -> None:
    await channel.deliver(incoming_activity())
    group = {"id": "19:group", "conversationType": "groupChat", "tenantId": TENANT, "isGroup": True}
    await channel.deliver(incoming_activity(id="incoming-2", conversation=group))
    personal = await channel.services.conversations.find_personal(TENANT, USER, route="teams")
    assert personal is not None
    assert personal.conversation_id == "a:chat"


@pytest.mark.parametrize(
    "fields",
    [
        {"channelData": {"productContext": "COPILOT"}},
        {"channelData": {"productContext": "Copilot"}},
        {"entities": [{"type": "ProductInfo", "id": "COPILOT"}]},
    ],
)
async def test_a_turn_from_copilot_is_recognised_and_does_not_displace_the_teams_chat(
    channel: Channel, fields: dict[str, Any]
) -> None:
    await channel.deliver(incoming_activity(**fields))
    conversation = await channel.services.conversations.find("msteams", "a:chat")
    assert conversation is not None
    assert conversation.is_from_copilot
    assert await channel.services.conversations.find_personal(TENANT, USER, route="teams") is None


class TestWelcomeThatFailed:
    """installationUpdate and conversationUpdate both ask for it; the first one did not get it through."""

    async def fail_then_ask_again(self, channel: Channel, error: Exception, *, after: timedelta) -> None:
        channel.services.connector.errors.append(error)
        added = {"type": "installationUpdate", "action": "add"}
        with pytest.raises(type(error)):
            await channel.deliver(incoming_activity(id="incoming-1", **added))
        channel.services.clock.step(after)
        await channel.deliver(incoming_activity(id="incoming-2", **added))

    async def test_one_that_was_refused_is_said_at_once_by_the_other(self, channel: Channel) -> None:
        started = channel.services.clock.now()
        busy = ChannelBusy("429", retry_after=timedelta(seconds=9))
        await self.fail_then_ask_again(channel, busy, after=timedelta(0))
        assert len(cards(channel.said())) == 1
        assert channel.services.clock.now() == started

    @pytest.mark.parametrize(("when_ambiguous", "welcomes"), [(None, 1), ("hold", 0)])
    async def test_one_that_may_have_arrived_is_said_again_unless_it_is_to_be_held(
        self, channel: Channel, when_ambiguous: WhenAmbiguous | None, welcomes: int
    ) -> None:
        channel.services.delivery_options = msgspec.structs.replace(
            channel.services.delivery_options, ambiguous_sends=when_ambiguous
        )
        await self.fail_then_ask_again(channel, DeliveryAmbiguous("no answer"), after=CLAIM_HOLDS)
        assert len(cards(channel.said())) == welcomes
