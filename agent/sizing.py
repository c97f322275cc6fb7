"""Makes an activity fit: long text is split at paragraph ends, a card too large becomes its fallbackText."""

import logging
import re
from typing import Any

import msgspec

from agent.answer import ADAPTIVE_CARD
from agent.ports import MessageTooLarge

log = logging.getLogger(__name__)

# Where text is split, the best place first: paragraphs, lines, sentences, words.
ENDS = (re.compile(r"\n[ \t]*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?]) "), re.compile(r" "))
# What belongs to the message as a whole goes with the last part of its text.
WITH_THE_LAST = ("attachments", "attachmentLayout", "suggestedActions", "entities", "summary")


def fitted(outgoing: dict[str, Any], *, max_bytes: int) -> list[dict[str, Any]]:
    """The activity as one or more that have ``max_bytes`` in UTF-16 each, in the order to send them.

    Raises MessageTooLarge where a card is too large and has no ``fallbackText``.
    """
    if size(outgoing) <= max_bytes:
        return [outgoing]
    text = outgoing.get("text") or ""
    whole = _with_smaller_cards({**outgoing, "text": ""}, max_bytes=max_bytes)
    head = {name: value for name, value in outgoing.items() if name not in WITH_THE_LAST}
    room = max_bytes - size({**head, "text": ""})
    if room <= 0 or size(whole) > max_bytes:
        raise MessageTooLarge(f"the message has more than {max_bytes} bytes besides its text")
    text = "\n\n".join(filter(None, (text, whole.pop("text"))))
    last = {name: value for name, value in whole.items() if name in WITH_THE_LAST}
    pieces = split(text, max_bytes=room)
    parts = [{**head, "text": piece} for piece in pieces] or [dict(head)]
    if not last:
        return parts
    together = {**parts[-1], **last}
    if size(together) <= max_bytes:
        return [*parts[:-1], together]
    without_text = {name: value for name, value in head.items() if name != "text"}
    return [*parts, {**without_text, **last}]


def size(outgoing: dict[str, Any]) -> int:
    """The activity's size in bytes as Teams counts it: its JSON in UTF-16.

    Teams documentation, "Format your bot messages", section "Message size".
    """
    return _utf16_bytes(msgspec.json.encode(outgoing))


def _utf16_bytes(utf8: bytes) -> int:
    return len(utf8) * 2 if utf8.isascii() else len(utf8.decode().encode("utf-16-le"))


def split(text: str, *, max_bytes: int) -> list[str]:
    """The text in pieces of at most ``max_bytes`` in JSON and UTF-16, cut at the best end there is."""
    pieces = []
    rest = text
    while rest and _text_bytes(rest) > max_bytes:
        longest = _longest_prefix(rest, max_bytes)
        cut = _best_end(rest, longest)
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [piece for piece in [*pieces, rest] if piece]


def _text_bytes(text: str) -> int:
    return _utf16_bytes(msgspec.json.encode(text))


def _longest_prefix(text: str, max_bytes: int) -> int:
    """How many characters of the text fit, at least one."""
    low, high = 1, min(len(text), max_bytes)
    while low < high:
        middle = (low + high + 1) // 2
        if _text_bytes(text[:middle]) <= max_bytes:
            low = middle
        else:
            high = middle - 1
    return low


def _best_end(text: str, longest: int) -> int:
    """Where to cut so that the piece has ``longest`` characters at most, and no less than a half of them."""
    for end in ENDS:
        found = [match.end() for match in end.finditer(text, longest // 2, longest)]
        if found:
            return found[-1]
    return longest


def _with_smaller_cards(outgoing: dict[str, Any], *, max_bytes: int) -> dict[str, Any]:
    """The activity with its cards, or, where that is too large, with their ``fallbackText`` as its text."""
    if size(outgoing) <= max_bytes:
        return outgoing
    attachments = outgoing.get("attachments") or []
    cards = [one["content"] for one in attachments if one.get("contentType") == ADAPTIVE_CARD]
    fallbacks = [card.get("fallbackText") or "" for card in cards]
    if not cards or not all(fallbacks):
        raise MessageTooLarge(f"the card has more than {max_bytes} bytes, and no fallbackText")
    log.warning(
        "A card of %s bytes is larger than %s: its fallbackText is sent instead", size(outgoing), max_bytes
    )
    others = [one for one in attachments if one.get("contentType") != ADAPTIVE_CARD]
    smaller = {name: value for name, value in outgoing.items() if name not in ("attachments", "summary")}
    return {**smaller, **({"attachments": others} if others else {}), "text": "\n\n".join(fallbacks)}
