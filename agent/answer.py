"""What the agent says: text, an Adaptive Card, or both."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"
CARDS = Path(__file__).parent / "cards"


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """A source of what is said; the text refers to it by its place in the order: ``[1]``."""

    title: str
    url: str = ""
    abstract: str = ""


class Answer(msgspec.Struct, frozen=True):
    """``text`` (Markdown as Teams renders it) and ``card`` (an Adaptive Card); at least one is given."""

    text: str = ""
    card: dict[str, Any] | None = None

    def to_activity(self) -> dict[str, Any]:
        """The answer as a message activity, ready to be posted (Bot Framework activity schema)."""
        outgoing: dict[str, Any] = {"type": "message"}
        if self.text:
            outgoing["text"] = self.text
        if self.card is not None:
            outgoing["attachments"] = [{"contentType": ADAPTIVE_CARD, "content": self.card}]
        if self.summary:
            outgoing["summary"] = self.summary
        return outgoing

    @property
    def summary(self) -> str:
        """What a list of chats and a toast show of a card without text: its ``fallbackText``."""
        return str(self.card.get("fallbackText", "")) if self.card and not self.text else ""


def card(card_name: str, **values: Any) -> dict[str, Any]:
    """The Adaptive Card of ``agent/cards/<card_name>.json`` with each ``${name}`` replaced by its value.

    A string that is nothing but ``${name}`` becomes the value itself, lists and objects included.
    Raises KeyError when the card names a value that is not given.
    """
    filled = _fill(_template(card_name), values)
    assert isinstance(filled, dict)
    return filled


@cache
def _template(card_name: str) -> Any:
    return json.loads((CARDS / f"{card_name}.json").read_text("utf-8"))


def _fill(node: Any, values: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        return {key: _fill(child, values) for key, child in node.items()}
    if isinstance(node, list):
        return [_fill(child, values) for child in node]
    if not isinstance(node, str) or "${" not in node:
        return node
    if node.startswith("${") and node.find("}") == len(node) - 1:
        return values[node[2:-1]]
    head, *rest = node.split("${")
    for part in rest:
        name, _, tail = part.partition("}")
        head += str(values[name]) + tail
    return head
