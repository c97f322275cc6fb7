"""Names what Microsoft 365 Copilot or Teams will not show of our Adaptive Cards, before a user misses it."""

import json
import re
from collections.abc import Iterator
from typing import Any

from agent.answer import CARDS

NEWEST_VERSION = (1, 5)  # that Teams renders
HTML = re.compile(r"</?(?!at\b)[a-z][a-z0-9]*(\s[^<>]*)?/?>", re.IGNORECASE)  # <at> is Teams' mention
SHOWN_TEXT = ("text", "title", "label", "placeholder")


def all_findings() -> list[str]:
    """The findings of every card in ``agent/cards``, each with the card's name."""
    return [
        f"{path.name}: {finding}"
        for path in sorted(CARDS.glob("*.json"))
        for finding in findings(json.loads(path.read_text("utf-8")))
    ]


def findings(card: dict[str, Any]) -> list[str]:
    """What will not be shown of this card.

    Microsoft 365 Copilot documentation, "Known issues and limitations for custom engine agents"; Teams
    documentation, "Cards", section "Support for Adaptive Cards".
    """
    return list(dict.fromkeys([*_of_the_card(card), *_of_the_elements(card)]))


def _of_the_card(card: dict[str, Any]) -> Iterator[str]:
    if card.get("type") != "AdaptiveCard":
        yield "it is no AdaptiveCard: Copilot shows no other kind of card"
    if not card.get("fallbackText"):
        yield "it has no fallbackText: nothing can be shown where the card is not"
    if _version(card.get("version")) > NEWEST_VERSION:
        yield "its version is newer than 1.5: Teams does not show it"
    if "refresh" in card:
        yield "it has a refresh: Copilot does not keep the card that comes of it"


def _of_the_elements(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _of_the_elements(child)
    if not isinstance(node, dict):
        return
    if "choices.data" in node:
        yield "an Input.ChoiceSet has choices.data: Copilot has no typeahead"
    if node.get("type") == "mention":
        yield "it mentions somebody: Copilot does not show mentions in cards"
    if any(isinstance(node.get(name), str) and HTML.search(node[name]) for name in SHOWN_TEXT):
        yield "a text has HTML: it is shown as it is written"
    for child in node.values():
        yield from _of_the_elements(child)


def _version(version: Any) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in str(version).split("."))
    except ValueError:
        return (0,)
