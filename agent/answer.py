"""What the agent says: text, an Adaptive Card, or both; and whether it was generated, and from what."""

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"
CARDS = Path(__file__).parent / "cards"

# Teams documentation, "Bot messages with AI-generated content": a message with more citations is refused.
MOST_CITATIONS = 20
LONGEST_TITLE = 80
LONGEST_ABSTRACT = 160


class Citation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a statement comes from: the source's title, its address and what it says, in a sentence."""

    title: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1})]
    url: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^(https?://|$)"})] = ""
    abstract: str = ""

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise ValueError("a citation must have a title")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ValueError("a citation's url must begin with https:// or http://")

    def to_claim(self, position: int) -> dict[str, Any]:
        """The citation of the mark ``[position]``, as schema.org calls it."""
        document = {
            "@type": "DigitalDocument",
            "name": _shortened(self.title, LONGEST_TITLE),
            # Teams takes a source without one; its SDKs say it must be there, and the Playground refuses it.
            "abstract": _shortened(self.abstract or self.title, LONGEST_ABSTRACT),
        }
        if self.url:
            document["url"] = self.url
        return {"@type": "Claim", "position": position, "appearance": document}


class Answer(msgspec.Struct, frozen=True):
    """``text`` (Markdown as Teams renders it) and ``card`` (an Adaptive Card); at least one is given.

    ``citations``: the sources of the text, which refers to them as [1], [2] and so on; what it does not refer
    to is referred to at its end. ``is_generated``: a language model made it, and it may be wrong.
    """

    text: str = ""
    card: dict[str, Any] | None = None
    citations: tuple[Citation, ...] = ()
    is_generated: bool = False

    def to_activity(self) -> dict[str, Any]:
        """The answer as a message activity, ready to be posted (Bot Framework activity schema)."""
        outgoing: dict[str, Any] = {"type": "message"}
        if self.text:
            outgoing["text"] = self.marked_text
        if self.card is not None:
            outgoing["attachments"] = [{"contentType": ADAPTIVE_CARD, "content": self.card}]
        if self.summary:
            outgoing["summary"] = self.summary
        if self.entities:
            outgoing["entities"] = self.entities
        return outgoing

    @property
    def marked_text(self) -> str:
        """The text with a mark for each citation: Teams shows a citation where its mark stands."""
        marks = (f"[{position}]" for position, _ in self._numbered_citations)
        return " ".join([self.text, *(mark for mark in marks if mark not in self.text)])

    @property
    def entities(self) -> list[dict[str, Any]]:
        """The one entity about the message itself: that it was generated, and its citations.

        Teams documentation, "Bot messages with AI-generated content"; two such entities are refused.
        """
        entity: dict[str, Any] = {
            "type": "https://schema.org/Message",
            "@type": "Message",
            "@context": "https://schema.org",
        }
        plain = len(entity)
        if self.is_generated:
            entity["additionalType"] = ["AIGeneratedContent"]
        if self._numbered_citations:
            entity["citation"] = [one.to_claim(position) for position, one in self._numbered_citations]
        return [entity] if len(entity) > plain else []

    @property
    def _numbered_citations(self) -> list[tuple[int, Citation]]:
        """Those that can be shown: where there is no text, there are no marks."""
        return list(enumerate(self.citations[:MOST_CITATIONS], start=1)) if self.text else []

    @property
    def summary(self) -> str:
        """What a list of chats and a toast show of a card without text: its ``fallbackText``."""
        return str(self.card.get("fallbackText", "")) if self.card and not self.text else ""


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


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
