"""An activity is made to fit what the channel takes."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.answer import Answer
from agent.ports import MessageTooLarge
from agent.sizing import fitted, size, split

LIMIT = 1000
BIG_CARD = {"type": "AdaptiveCard", "fallbackText": "An order", "body": ["x" * LIMIT]}


def texts(parts: list[dict[str, Any]]) -> list[str]:
    return [part.get("text", "") for part in parts]


def test_what_fits_goes_as_it_is() -> None:
    outgoing = Answer("hello").to_activity()
    assert fitted(outgoing, max_bytes=LIMIT) == [outgoing]


def test_the_size_is_that_of_its_json_in_utf_16() -> None:
    for text in ("plain", "äöü", "漢字", "😀"):
        outgoing = {"type": "message", "text": text}
        assert size(outgoing) == len(f'{{"type":"message","text":"{text}"}}'.encode("utf-16-le"))


def test_long_text_is_split_at_the_ends_of_paragraphs() -> None:
    paragraphs = [f"Paragraph {number}: " + "word " * 36 + "end." for number in range(4)]
    parts = fitted(Answer("\n\n".join(paragraphs)).to_activity(), max_bytes=LIMIT)
    assert texts(parts) == ["\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:])]


@pytest.mark.parametrize(("end", "kept"), [("\n", ""), (". ", "."), (" ", "")])
def test_a_long_paragraph_is_split_at_the_next_best_end(end: str, kept: str) -> None:
    pieces = split(end.join(["x" * 150] * 6), max_bytes=LIMIT)
    assert all(set(piece.strip(". \n")) <= {"x", "\n", ".", " "} for piece in pieces)
    assert [len(piece.replace(end, "").rstrip(kept or "\n")) % 150 for piece in pieces] == [0] * len(pieces)


@given(st.text(min_size=1, max_size=3000))
def test_no_piece_is_too_large_and_only_white_space_is_lost(text: str) -> None:
    pieces = split(text, max_bytes=200)
    assert all(size({"": piece}) - size({"": ""}) + 4 <= 200 for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_the_card_goes_with_the_last_part_of_the_text() -> None:
    card = {"type": "AdaptiveCard", "fallbackText": "An order", "body": []}
    parts = fitted(Answer("word " * 150, card).to_activity(), max_bytes=LIMIT)
    assert len(parts) == 2
    assert ["attachments" in part for part in parts] == [False, True]
    assert all(size(part) <= LIMIT for part in parts)


def test_a_card_that_is_too_large_becomes_its_fallback_text_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        (part,) = fitted(Answer("Done.", BIG_CARD).to_activity(), max_bytes=LIMIT)
    assert part == {"type": "message", "text": "Done.\n\nAn order"}
    assert "fallbackText is sent instead" in caplog.text


def test_a_card_that_is_too_large_and_has_no_fallback_text_is_refused() -> None:
    card = {name: value for name, value in BIG_CARD.items() if name != "fallbackText"}
    with pytest.raises(MessageTooLarge, match="no fallbackText"):
        fitted(Answer(card=card).to_activity(), max_bytes=LIMIT)


def test_parts_of_a_reply_are_addressed_as_the_reply() -> None:
    reply = {"type": "message", "text": "a " * 600, "replyToId": "1", "conversation": {"id": "c"}}
    parts = fitted(reply, max_bytes=LIMIT)
    assert {part["replyToId"] for part in parts} == {"1"}
    assert all(part["conversation"] == {"id": "c"} for part in parts)
