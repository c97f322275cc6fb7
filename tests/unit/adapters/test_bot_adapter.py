"""A bot's turn on our connector: what the bot sees is botbuilder's, what goes out is whole."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from botbuilder.core import ActivityHandler, InvokeResponse, TurnContext
from botbuilder.schema import (
    Activity,
    ActivityTypes,
    Attachment,
    ChannelAccount,
    ConversationAccount,
    Entity,
)
from botbuilder.schema.teams import TaskModuleMessageResponse, TaskModuleResponse

from adapters.bot_adapter import ConnectorBotAdapter
from adapters.in_memory import RecordingConnector
from agent.conversation import Place
from agent.incoming import BadTurn
from agent.turn_claim import TurnResponse
from tests.unit.adapters.beside_msrest import CORPUS, from_corpus
from tests.unit.turns import TENANT, incoming_activity

Answer = Callable[[TurnContext], Awaitable[Any]]


class Answering(ActivityHandler):  # type: ignore[misc]
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def on_turn(self, turn_context: TurnContext) -> None:
        await self._answer(turn_context)


class SentAtOnce:
    """Replies that go to the connector as they are."""

    def __init__(self, connector: RecordingConnector) -> None:
        self._connector = connector

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None) -> str | None:
        sent = await self._connector.send(outgoing, at=at, reply_to_id=reply_to_id)
        return sent.activity_id


@pytest.fixture
def connector() -> RecordingConnector:
    return RecordingConnector()


async def turn(
    connector: RecordingConnector, answer: Answer, incoming: dict[str, Any] | None = None
) -> TurnResponse | None:
    adapter = ConnectorBotAdapter(connector=connector)
    replies = SentAtOnce(connector)
    return await adapter.process(incoming or incoming_activity(), Answering(answer), replies=replies)


def corpus(name: str) -> dict[str, Any]:
    return from_corpus(CORPUS[0].with_name(f"{name}.json"))


async def test_a_bot_sees_an_activity_of_botbuilder(connector: RecordingConnector) -> None:
    async def look(turn_context: TurnContext) -> None:
        seen = turn_context.activity
        assert type(seen) is Activity
        assert type(seen.from_property) is type(seen.recipient) is ChannelAccount
        assert type(seen.conversation) is ConversationAccount
        assert [type(entity) for entity in seen.entities] == [Entity, Entity, Entity]
        mentions = TurnContext.get_mentions(seen)
        assert [mention.additional_properties["text"] for mention in mentions] == [
            "<at>Agent</at>",
            "<at>Jo</at>",
        ]
        assert isinstance(seen.timestamp, datetime)
        assert seen.local_timestamp.utcoffset() == timedelta(hours=-8)

    await turn(connector, look, corpus("teams_personal_message_with_mentions"))


async def test_a_reply_says_the_tenant_and_keeps_what_botbuilder_does_not_know(
    connector: RecordingConnector,
) -> None:
    async def stream(turn_context: TurnContext) -> None:
        entity = Entity(type="streaminfo")
        entity.additional_properties = {"streamType": "streaming", "streamId": "a-1", "streamSequence": 2}
        await turn_context.send_activity(Activity(type="typing", text="Looking …", entities=[entity]))

    await turn(connector, stream)
    (call,) = connector.calls
    assert call.tenant_id == TENANT
    assert call.body
    assert call.body["conversation"]["tenantId"] == TENANT
    assert call.body["entities"] == [
        {"type": "streaminfo", "streamType": "streaming", "streamId": "a-1", "streamSequence": 2}
    ]


async def test_an_echoed_activity_goes_out_with_all_it_came_with(connector: RecordingConnector) -> None:
    incoming = corpus("unknown_properties_everywhere")

    async def echo(turn_context: TurnContext) -> None:
        await turn_context.send_activity(turn_context.activity)

    await turn(connector, echo, incoming)
    (call,) = connector.calls
    assert call.body
    for key in ("newProperty", "attachments", "entities", "channelData", "reactionsAdded", "conversation"):
        assert call.body[key] == incoming[key]
    assert call.body["recipient"] == incoming["from"]


async def test_what_a_bot_sends_is_a_copy_at_every_level(connector: RecordingConnector) -> None:
    card = {"type": "AdaptiveCard", "body": [{"type": "TextBlock", "text": "one"}]}
    made = Activity(type="message", id="mine", attachments=[Attachment(content_type="card", content=card)])

    async def twice(turn_context: TurnContext) -> None:
        async def replace(context: TurnContext, outgoing: list[Activity], proceed: Any) -> None:
            outgoing[0].attachments[0].content["body"][0]["text"] += " and more"
            await proceed()

        turn_context.on_send_activities(replace)
        await turn_context.send_activity(made)
        await turn_context.send_activity(made)

    await turn(connector, twice)
    texts = [(call.body or {})["attachments"][0]["content"]["body"][0]["text"] for call in connector.calls]
    assert texts == ["one and more", "one and more"]
    assert made.id == "mine"
    assert made.conversation is None
    assert card["body"] == [{"type": "TextBlock", "text": "one"}]


async def test_an_update_and_a_delete_go_to_the_conversation_of_the_turn(
    connector: RecordingConnector,
) -> None:
    async def correct(turn_context: TurnContext) -> None:
        reference = TurnContext.get_conversation_reference(turn_context.activity)
        reference.activity_id = "sent-1"
        changed = Activity(id="sent-1", type=ActivityTypes.message, text="better")
        await turn_context.update_activity(changed)
        await turn_context.delete_activity(reference)

    await turn(connector, correct)
    update, delete = connector.calls
    assert (update.method, update.activity_id, update.tenant_id) == ("update", "sent-1", TENANT)
    assert update.body
    assert (update.body["text"], update.body["type"]) == ("better", "message")
    assert update.body["conversation"]["tenantId"] == TENANT
    assert (delete.method, delete.activity_id, delete.tenant_id) == ("delete", "sent-1", TENANT)


async def test_expected_replies_are_returned_as_json(connector: RecordingConnector) -> None:
    async def answer(turn_context: TurnContext) -> None:
        await turn_context.send_activities(
            [Activity(type="typing"), Activity(text="done", value={"a": (1,)})]
        )

    response = await turn(connector, answer, incoming_activity(deliveryMode="expectReplies"))
    assert connector.calls == []
    assert response
    assert response.body
    said = response.body["activities"]
    assert [reply["type"] for reply in said] == ["typing", "message"]
    assert (said[1]["text"], said[1]["value"]) == ("done", {"a": [1]})
    assert said[1]["conversation"]["tenantId"] == TENANT


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            TaskModuleResponse(task=TaskModuleMessageResponse(value="thanks")),
            {"task": {"type": "message", "value": "thanks"}},
        ),
        ({"statusCode": 200}, {"statusCode": 200}),
        (None, None),
    ],
)
async def test_an_invoke_is_answered_with_its_body_as_json(
    connector: RecordingConnector, body: Any, expected: Any
) -> None:
    async def answer(turn_context: TurnContext) -> None:
        value = InvokeResponse(status=200, body=body)
        await turn_context.send_activity(Activity(type=ActivityTypes.invoke_response, value=value))

    assert await turn(connector, answer, corpus("invoke_task_fetch")) == TurnResponse(200, expected)


async def test_a_body_of_the_wrong_types_is_a_bad_turn_that_quotes_nothing(
    connector: RecordingConnector,
) -> None:
    async def never(turn_context: TurnContext) -> None:
        raise AssertionError("the bot was asked")

    with pytest.raises(BadTurn, match=r"has the wrong type$") as refused:
        await turn(connector, never, incoming_activity(attachments="secret words"))
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
