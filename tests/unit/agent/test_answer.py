"""What the agent says: text and cards."""

import re
from typing import Any

import pytest

from agent.answer import ADAPTIVE_CARD, CARDS, Answer, card
from agent.bot import to_botbuilder


def test_a_card_is_filled_with_its_values() -> None:
    delivered = card("order_delivered", number=1292, item="laptop")
    facts = {fact["title"]: fact["value"] for fact in delivered["body"][1]["facts"]}
    assert facts == {"Order": "#1292", "Item": "laptop", "Status": "delivered"}
    assert delivered["fallbackText"] == "Your order #1292 (laptop) was delivered."


def test_a_string_that_is_one_placeholder_becomes_the_value_itself() -> None:
    actions: list[Any] = [{"type": "Action.Submit", "title": "Go"}]
    assert card("welcome", actions=actions, examples="go")["actions"] == actions


def test_a_value_that_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match="item"):
        card("order_delivered", number=1292)


def test_filling_a_card_leaves_the_next_one_as_it_was() -> None:
    card("order_delivered", number=1, item="laptop")
    assert card("order_delivered", number=2, item="chair")["body"][1]["facts"][0]["value"] == "#2"


@pytest.mark.parametrize("name", [path.stem for path in CARDS.glob("*.json")])
def test_each_card_has_a_fallback_and_a_version_that_teams_and_copilot_know(name: str) -> None:
    placeholders = re.findall(r"\$\{(\w+)\}", (CARDS / f"{name}.json").read_text("utf-8"))
    filled = card(name, **dict.fromkeys(placeholders, "x"))
    assert filled["type"] == "AdaptiveCard"
    assert filled["version"] == "1.5"
    assert filled["fallbackText"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("hi"), {"type": "message", "text": "hi"}),
        (
            Answer(card={"fallbackText": "short"}),
            {
                "type": "message",
                "attachments": [{"contentType": ADAPTIVE_CARD, "content": {"fallbackText": "short"}}],
                "summary": "short",
            },
        ),
        (
            Answer("hi", {"fallbackText": "short"}),
            {
                "type": "message",
                "text": "hi",
                "attachments": [{"contentType": ADAPTIVE_CARD, "content": {"fallbackText": "short"}}],
            },
        ),
    ],
)
def test_an_answer_is_the_same_activity_as_a_reply_and_as_a_follow_up(
    answer: Answer, expected: dict[str, Any]
) -> None:
    assert answer.to_activity() == expected
    assert to_botbuilder(answer).serialize() == expected
