"""People are mentioned in what the agent says, and stay readable in what it is told."""

import json
from typing import Any

import pytest

from agent.answer import Answer
from agent.incoming import IncomingActivity, parse_incoming
from agent.mention import Mention
from tests.unit.turns import incoming_activity

AGENT_ID = "28:agent"  # as in incoming_activity
ALEX = Mention("29:alex", "Alex & <Jo>")
CARD = {"type": "AdaptiveCard", "version": "1.5", "fallbackText": "An order", "body": []}


def mention(account_id: str, name: str, **fields: Any) -> dict[str, Any]:
    """A mention entity as Teams sends it."""
    mentioned = {"id": account_id, "name": name}
    return {"type": "mention", "mentioned": mentioned, "text": f"<at>{name}</at>", **fields}


def read(activity: dict[str, Any]) -> IncomingActivity:
    return parse_incoming(json.dumps(activity).encode())[1]


def words(text: str, *entities: Any, **fields: Any) -> str:
    return read(incoming_activity(text=text, entities=list(entities), **fields)).words


def test_a_mention_stands_before_the_text_with_its_entity_and_an_escaped_name() -> None:
    outgoing = ALEX.put_before(Answer("It is done.").to_activity())
    assert outgoing == {
        "type": "message",
        "text": "<at>Alex &amp; &lt;Jo&gt;</at> It is done.",
        "entities": [
            {
                "type": "mention",
                "text": "<at>Alex &amp; &lt;Jo&gt;</at>",
                "mentioned": {"id": "29:alex", "name": "Alex & <Jo>"},
            }
        ],
    }


def test_a_card_alone_gets_the_mention_as_its_text_and_keeps_its_summary() -> None:
    outgoing = ALEX.put_before(Answer(card=CARD).to_activity())
    assert outgoing["text"] == ALEX.text
    assert outgoing["summary"] == "An order"
    assert outgoing["attachments"][0]["content"] == CARD


def test_a_mention_leaves_the_other_entities_as_they_are() -> None:
    cited = {"type": "https://schema.org/Message", "@type": "Message"}
    outgoing = ALEX.put_before({**Answer("Look.").to_activity(), "entities": [cited]})
    assert [entity["type"] for entity in outgoing["entities"]] == [cited["type"], "mention"]


@pytest.mark.parametrize("text", ["# Orders", "- one\n- two", "1. one", "> said", "```\ncode\n```", "|a|b|"])
def test_markdown_that_must_begin_its_line_still_does(text: str) -> None:
    assert Mention("29:jo", "Jo").put_before({"text": text})["text"] == f"<at>Jo</at>\n\n{text}"


@pytest.mark.parametrize("text", ["-1 is less", "#1292 is placed", "*Done*", "2026 was good"])
def test_a_text_that_only_looks_like_it_stays_on_the_line_of_the_mention(text: str) -> None:
    assert Mention("29:jo", "Jo").put_before({"text": text})["text"] == f"<at>Jo</at> {text}"


@pytest.mark.parametrize(
    ("text", "entities", "said"),
    [
        ("<at>Agent</at> status\n", [mention(AGENT_ID, "Agent")], "status"),
        ("<at>Agent</at>&nbsp;status", [mention(AGENT_ID, "Agent")], "status"),
        ("status <at>agent</at>", [mention(AGENT_ID, "Agent")], "status"),
        ('<at id="0">Agent</at> status', [mention(AGENT_ID, "Agent")], "status"),
        (
            "<at>Agent</at> ask <at>Jo Doe</at> please",
            [mention(AGENT_ID, "Agent"), mention("29:jo", "Jo Doe")],
            "ask Jo Doe please",
        ),
        ("<at>Jo</at> <at>Agent</at> hi", [mention("29:jo", "Jo"), mention(AGENT_ID, "Agent")], "Jo  hi"),
        ("<at>A &amp; B</at> hi", [mention("29:ab", "A & B", text=None)], "A & B hi"),
    ],
)
def test_mentions_of_the_agent_are_left_out_and_those_of_others_are_read(
    text: str, entities: list[Any], said: str
) -> None:
    assert words(text, *entities) == said


def test_an_agent_that_was_renamed_is_known_by_its_id() -> None:
    assert words("<at>Old name</at> status", mention(AGENT_ID, "Old name")) == "status"


def test_an_agent_whose_name_comes_word_by_word_is_left_out_as_a_whole() -> None:
    entities = [mention(AGENT_ID, "Order"), mention(AGENT_ID, "Desk")]
    assert words("<at>Order</at> <at>Desk</at> status", *entities) == "status"


def test_a_user_with_the_name_of_the_agent_is_told_from_it_by_the_order() -> None:
    entities = [mention(AGENT_ID, "Agent"), mention("29:spy", "Agent")]
    assert words("<at>Agent</at> greet <at>Agent</at>", *entities) == "greet Agent"
    assert words("<at>Agent</at> greet <at>Agent</at>", *reversed(entities)) == "Agent greet"


def test_an_agent_that_is_mentioned_twice_by_one_entity_is_left_out_twice() -> None:
    assert words("<at>Agent</at> status <at>Agent</at>", mention(AGENT_ID, "Agent")) == "status"


@pytest.mark.parametrize(
    "entities", [[], [None, 7, "mention"], [{"type": "mention"}], [{"type": "mention", "mentioned": "Agent"}]]
)
def test_without_usable_entities_the_agent_is_known_by_its_name(entities: list[Any]) -> None:
    assert words("<at>Agent</at> ask <at>Jo</at>", *entities) == "ask Jo"
    assert words("<at>Jo</at> ask <at>Agent</at>", *entities) == "Jo ask"


@pytest.mark.parametrize("recipient", [None, {"id": AGENT_ID}])
def test_without_entities_and_name_the_agent_is_the_one_that_is_called_first(recipient: Any) -> None:
    assert words("  <at>Agent</at> ask <at>Jo</at>", recipient=recipient) == "ask Jo"


def in_channel(**fields: Any) -> IncomingActivity:
    account = {"id": "19:c@thread.tacv2", "conversationType": "channel", "isGroup": True}
    conversation = {**account, **fields.pop("conversation", {})}
    return read(incoming_activity(conversation=conversation, **fields))


def test_a_channel_post_that_tells_its_thread_is_left_alone() -> None:
    told = in_channel(id="1700000000002", conversation={"id": "19:c@thread.tacv2;messageid=1700000000001"})
    assert told.conversation.conversation_id == "19:c@thread.tacv2;messageid=1700000000001"


@pytest.mark.parametrize(
    ("fields", "root_id"),
    [({}, "1700000000002"), ({"replyToId": "1700000000001"}, "1700000000001")],
)
def test_a_channel_post_that_does_not_tell_its_thread_is_put_into_it(
    fields: dict[str, Any], root_id: str
) -> None:
    """What is sent to the bare id of a channel would begin another thread."""
    conversation = {"id": "19:c@thread.tacv2", "conversationType": "channel", "name": "kept"}
    activity = incoming_activity(id="1700000000002", conversation=conversation, **fields)
    raw, incoming = parse_incoming(json.dumps(activity).encode())
    thread_id = f"19:c@thread.tacv2;messageid={root_id}"
    assert incoming.conversation.conversation_id == thread_id
    assert raw["conversation"] == {**conversation, "id": thread_id}  # the reply is made from this


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "f:5cab0e1e"},
        {"type": "conversationUpdate"},
        {"value": {"job": "order_laptop"}, "replyToId": "1700000000003"},
        {"channelId": "emulator"},
        {"conversation": {"conversationType": "groupChat"}},
    ],
)
def test_what_is_no_post_of_a_teams_channel_gets_no_thread(fields: dict[str, Any]) -> None:
    told = in_channel(**{"id": "1700000000002", **fields})
    assert told.conversation.conversation_id == "19:c@thread.tacv2"
