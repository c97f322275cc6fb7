"""What the agent says: text and cards."""

import re
from typing import Any

import msgspec
import pytest

from adapters.model_codec import write
from agent.answer import ADAPTIVE_CARD, CARDS, Answer, Citation, card
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


GUIDE = Citation(title="Guide", url="https://example.com/guide", abstract="How it works.")
HANDBOOK = Citation(title="Handbook")


def claims(answer: Answer) -> list[dict[str, Any]]:
    (entity,) = answer.to_activity()["entities"]
    found: list[dict[str, Any]] = entity["citation"]
    return found


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
        (
            Answer("Yes [1].", citations=(GUIDE,), is_generated=True),
            {
                "type": "message",
                "text": "Yes [1].",
                "entities": [
                    {
                        "type": "https://schema.org/Message",
                        "@type": "Message",
                        "@context": "https://schema.org",
                        "additionalType": ["AIGeneratedContent"],
                        "citation": [
                            {
                                "@type": "Claim",
                                "position": 1,
                                "appearance": {
                                    "@type": "DigitalDocument",
                                    "name": "Guide",
                                    "url": "https://example.com/guide",
                                    "abstract": "How it works.",
                                },
                            }
                        ],
                    }
                ],
            },
        ),
    ],
)
def test_an_answer_is_the_same_activity_as_a_reply_and_as_a_follow_up(
    answer: Answer, expected: dict[str, Any]
) -> None:
    assert answer.to_activity() == expected
    assert write(to_botbuilder(answer)) == expected


def test_what_was_generated_says_so_without_citations_and_what_was_not_is_cited_without_saying_so() -> None:
    (generated,) = Answer("hi", is_generated=True).to_activity()["entities"]
    assert generated["additionalType"] == ["AIGeneratedContent"]
    assert "citation" not in generated
    (cited,) = Answer("hi [1]", citations=(GUIDE,)).to_activity()["entities"]
    assert "additionalType" not in cited


def test_a_citation_that_the_text_does_not_refer_to_is_referred_to_at_its_end() -> None:
    answer = Answer("See [2].", citations=(GUIDE, HANDBOOK))
    assert answer.to_activity()["text"] == "See [2]. [1]"
    assert [claim["position"] for claim in claims(answer)] == [1, 2]


def test_a_source_without_address_and_abstract_has_its_title_for_an_abstract() -> None:
    (claim,) = claims(Answer("See [1].", citations=(HANDBOOK,)))
    assert claim["appearance"] == {"@type": "DigitalDocument", "name": "Handbook", "abstract": "Handbook"}


def test_a_card_without_text_has_no_place_for_citations() -> None:
    assert "entities" not in Answer(card={"fallbackText": "short"}, citations=(GUIDE,)).to_activity()


def test_citations_keep_to_the_limits_that_teams_has() -> None:
    long = Citation(title="t" * 81, abstract="a" * 161)
    answer = Answer("See [1].", citations=(long,) * 21)
    assert [claim["position"] for claim in claims(answer)] == list(range(1, 21))
    appearance = claims(answer)[0]["appearance"]
    assert appearance["name"] == "t" * 79 + "…"
    assert appearance["abstract"] == "a" * 159 + "…"


@pytest.mark.parametrize(
    ("title", "url"),
    [("", ""), (" ", "https://example.com"), ("Guide", "javascript:x"), ("Guide", "guide.html")],
)
def test_what_teams_would_not_take_for_a_source_is_no_citation(title: str, url: str) -> None:
    with pytest.raises(ValueError, match="a citation"):
        Citation(title=title, url=url)


def test_an_answer_that_was_stored_before_there_were_citations_is_still_read() -> None:
    stored = {"text": "hi", "card": None}
    assert msgspec.convert(stored, type=Answer) == Answer("hi")


def test_an_answer_comes_out_of_the_task_hub_as_it_went_in() -> None:
    answer = Answer("Yes [1].", citations=(GUIDE, HANDBOOK), is_generated=True)
    stored = msgspec.json.encode(msgspec.to_builtins(answer))
    assert msgspec.json.decode(stored, type=Answer) == answer
