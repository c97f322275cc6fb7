"""Makes an activity fit: long text is split at paragraph ends, a card too large becomes its fallbackText."""

import logging
from typing import Any

import msgspec

from agent.answer import ADAPTIVE_CARD
from agent.mention import is_mention
from agent.ports import MessageTooLarge
from agent.splitting import split, utf16_bytes

log = logging.getLogger(__name__)

# What belongs to the message as a whole goes with the last part of its text.
WITH_THE_LAST = ("attachments", "attachmentLayout", "suggestedActions", "summary")


def fitted(outgoing: dict[str, Any], *, max_bytes: int) -> list[dict[str, Any]]:
    """The activity as one or more that have ``max_bytes`` in UTF-16 each, in the order to send them.

    Raises MessageTooLarge where a card is too large and has no ``fallbackText``.
    """
    if size(outgoing) <= max_bytes:
        return [outgoing]
    text = outgoing.get("text") or ""
    whole = _with_smaller_cards({**outgoing, "text": ""}, max_bytes=max_bytes)
    head = {name: value for name, value in outgoing.items() if name not in (*WITH_THE_LAST, "entities")}
    entities = outgoing.get("entities") or []
    room = max_bytes - size({**head, "text": "", **({"entities": entities} if entities else {})})
    if room <= 0 or size(whole) > max_bytes:
        raise MessageTooLarge(f"the message has more than {max_bytes} bytes besides its text")
    text = "\n\n".join(filter(None, (text, whole.pop("text"))))
    last = {name: value for name, value in whole.items() if name in WITH_THE_LAST}
    pieces = [{**head, "text": piece} for piece in split(text, max_bytes=room)] or [dict(head)]
    parts = [_with_entities(piece, entities, is_last=piece is pieces[-1]) for piece in pieces]
    if not last:
        return parts
    together = {**parts[-1], **last}
    if size(together) <= max_bytes:
        return [*parts[:-1], together]
    return [*parts, {name: value for name, value in {**head, **last}.items() if name != "text"}]


def size(outgoing: dict[str, Any]) -> int:
    """The activity's size in bytes as Teams counts it: its JSON in UTF-16.

    Teams documentation, "Format your bot messages", section "Message size".
    """
    return utf16_bytes(msgspec.json.encode(outgoing))


def _with_entities(part: dict[str, Any], entities: list[dict[str, Any]], *, is_last: bool) -> dict[str, Any]:
    """The part with the mentions whose text it holds, for Teams refuses others; the last with the rest."""
    text = part.get("text") or ""
    here = [entity for entity in entities if (entity["text"] in text if is_mention(entity) else is_last)]
    return {**part, "entities": here} if here else part


def _with_smaller_cards(outgoing: dict[str, Any], *, max_bytes: int) -> dict[str, Any]:
    """The activity with its cards, or, where they are too large, with their ``fallbackText`` as its text."""
    if size(outgoing) <= max_bytes:
        return outgoing
    attachments = outgoing.get("attachments") or []
    cards = [one["content"] for one in attachments if one.get("contentType") == ADAPTIVE_CARD]
    fallbacks = [card.get("fallbackText") or "" for card in cards]
    if not cards:
        return outgoing
    if not all(fallbacks):
        raise MessageTooLarge(f"the card has more than {max_bytes} bytes, and no fallbackText")
    log.warning(
        "A card of %s bytes is larger than %s: its fallbackText is sent instead", size(outgoing), max_bytes
    )
    others = [one for one in attachments if one.get("contentType") != ADAPTIVE_CARD]
    smaller = {name: value for name, value in outgoing.items() if name not in ("attachments", "summary")}
    return {**smaller, **({"attachments": others} if others else {}), "text": "\n\n".join(fallbacks)}
