"""What will not be shown of a card is named."""

from typing import Any

import pytest

from agent.card_lint import all_findings, findings

GOOD: dict[str, Any] = {"type": "AdaptiveCard", "version": "1.5", "fallbackText": "An order", "body": []}


def test_our_own_cards_are_shown_as_they_are() -> None:
    assert all_findings() == []


def test_a_good_card_has_no_findings() -> None:
    body = [{"type": "TextBlock", "text": "1 < 2 and **bold**"}, {"type": "Input.ChoiceSet", "choices": []}]
    assert findings({**GOOD, "body": body}) == []


@pytest.mark.parametrize(
    ("fields", "finding"),
    [
        ({"type": "HeroCard"}, "no AdaptiveCard"),
        ({"fallbackText": ""}, "fallbackText"),
        ({"version": "1.6"}, "version"),
        ({"refresh": {"userIds": []}}, "refresh"),
        ({"body": [{"type": "Container", "items": [{"choices.data": {}}]}]}, "typeahead"),
        ({"msteams": {"entities": [{"type": "mention", "text": "<at>Alex</at>"}]}}, "mentions"),
        ({"body": [{"type": "TextBlock", "text": "so <b>bold</b>"}]}, "HTML"),
    ],
)
def test_what_will_not_be_shown_is_named_once(fields: dict[str, Any], finding: str) -> None:
    (found,) = findings({**GOOD, **fields})
    assert finding in found
