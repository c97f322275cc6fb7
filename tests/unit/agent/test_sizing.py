"""An activity is made to fit what the channel takes."""

import logging
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.answer import Answer, Citation
from agent.mention import Mention
from agent.ports import MessageTooLarge
from agent.sizing import fitted, size
from agent.splitting import split

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


def is_within(piece: str, max_bytes: int) -> bool:
    return size({"": piece}) - size({"": ""}) + 4 <= max_bytes


@given(st.text(st.characters(codec="utf-8", exclude_characters="`~"), min_size=1, max_size=3000))
def test_no_piece_is_too_large_and_only_white_space_is_lost(text: str) -> None:
    pieces = split(text, max_bytes=200)
    assert all(is_within(piece, 200) for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(
    st.text(st.sampled_from("``~~~   \n\n\npy\x01\N{WINKING FACE}\N{ZERO WIDTH JOINER}\u0301"), max_size=600),
    st.integers(min_value=16, max_value=300),
)
def test_no_piece_is_too_large_whatever_fences_are_in_the_text(text: str, max_bytes: int) -> None:
    assert all(is_within(piece, max_bytes) for piece in split(text, max_bytes=max_bytes))


def in_and_out_of_code(piece: str) -> tuple[list[str], list[str], set[str]]:
    """The words in the piece's code blocks, those outside, and how its blocks are opened; each is closed."""
    inside: list[str] = []
    outside: list[str] = []
    opening, openings = "", set()
    for line in piece.split("\n"):
        if not line.lstrip().startswith(("```", "~~~")):
            (inside if opening else outside).extend(line.split())
        elif opening:
            assert line.strip() == opening.rstrip("abcdefghijklmnopqrstuvwxyz")
            opening = ""
        else:
            opening = line.strip()
            openings.add(opening)
    assert not opening
    return inside, outside, openings


code_lines = st.lists(st.sampled_from(["", "  code", "code code", "    code" * 30, "code" * 60]), max_size=30)
blocks = st.tuples(st.sampled_from(["```", "```python", "   ```js", "~~~text", "````"]), code_lines)
prose = st.tuples(st.just(""), st.lists(st.sampled_from(["", "prose", "prose prose. " * 9]), max_size=9))


@given(st.lists(blocks | prose, max_size=6))
def test_code_stays_in_code_blocks_and_prose_outside_of_them(made: list[tuple[str, list[str]]]) -> None:
    texts = []
    for opening, lines in made:
        closing = [opening.strip().rstrip("abcdefghijklmnopqrstuvwxyz")] if opening else []
        texts.append("\n".join([*([opening] if opening else []), *lines, *closing]))
    text = "\n".join(texts)
    pieces = split(text, max_bytes=200)
    assert all(is_within(piece, 200) for piece in pieces)
    found = [in_and_out_of_code(piece) for piece in pieces]
    inside, outside, openings = in_and_out_of_code(text)
    assert {letters for words, _, _ in found for letters in "".join(words)} <= set("code")
    assert "".join("".join(words) for words, _, _ in found) == "".join(inside)
    assert "".join("".join(words) for _, words, _ in found) == "".join(outside)
    assert set().union(*(theirs for _, _, theirs in found)) <= openings


def test_a_code_block_that_is_cut_is_closed_and_opened_again_as_it_was() -> None:
    code = [f"    line_{number} = {number}" for number in range(10, 30)]
    text = "\n".join(["Look:", "```python title", *code, "```", "That is all."])
    first, *others = split(text, max_bytes=600)
    assert first.startswith("Look:\n```python title\n    line_10")
    assert all(piece.startswith("```python title\n    line_") for piece in others)
    assert all(piece.endswith("\n```") for piece in [first, *others[:-1]])
    assert others[-1].endswith("line_29 = 29\n```\nThat is all.")


def test_no_piece_ends_where_a_code_block_has_just_begun() -> None:
    words, block = "word " * 12, "```\n" + "code\n" * 12 + "```"
    assert split(f"{words}\n{block}", max_bytes=200) == [words.strip(), block]


CHARACTERS = [
    "a",
    "e\u0301\u0323",
    "\N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
    "\N{WAVING HAND SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}",
    "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}",
    "\N{REGIONAL INDICATOR SYMBOL LETTER D}\N{REGIONAL INDICATOR SYMBOL LETTER E}",
    "1\N{VARIATION SELECTOR-16}\N{COMBINING ENCLOSING KEYCAP}",
]


@given(st.lists(st.sampled_from(CHARACTERS), max_size=300))
def test_what_is_seen_as_one_character_is_not_cut(characters: list[str]) -> None:
    pieces = split("".join(characters), max_bytes=100)
    assert "".join(pieces) == "".join(characters)
    ends = set(accumulate(len(one) for one in characters))
    assert set(accumulate(len(piece) for piece in pieces)) <= ends


def test_a_single_character_is_not_cut_even_if_it_is_too_large() -> None:
    assert split("\x01", max_bytes=12) == ["\x01"]


def test_what_is_seen_as_one_character_and_fits_no_piece_is_cut_where_it_must_be() -> None:
    text = "e" + "\u0301" * 100
    pieces = split(text, max_bytes=100)
    assert "".join(pieces) == text
    assert all(is_within(piece, 100) for piece in pieces)


def test_the_card_goes_with_the_last_part_of_the_text() -> None:
    card = {"type": "AdaptiveCard", "fallbackText": "An order", "body": []}
    parts = fitted(Answer("word " * 150, card).to_activity(), max_bytes=LIMIT)
    assert len(parts) == 2
    assert ["attachments" in part for part in parts] == [False, True]
    assert all(size(part) <= LIMIT for part in parts)


SOURCES = (Citation(title="Guide", url="https://example.com/guide"),)


def test_citations_go_with_the_last_part_of_the_text_which_leaves_room_for_them() -> None:
    answer = Answer("word " * 150, citations=SOURCES, is_generated=True)
    parts = fitted(answer.to_activity(), max_bytes=LIMIT)
    assert [list(part) for part in parts[:-1]] == [["type", "text"]] * (len(parts) - 1)
    assert list(parts[-1]) == ["type", "text", "entities"]
    assert parts[-1]["text"].endswith("[1]")
    assert all(size(part) <= LIMIT for part in parts)


def test_citations_stay_with_the_text_where_the_card_has_to_go_alone() -> None:
    card = {"type": "AdaptiveCard", "fallbackText": "An order", "body": ["x" * 50]}
    answer = Answer("word " * 150, card, citations=SOURCES)
    *texts_before, last_text, alone = fitted(answer.to_activity(), max_bytes=LIMIT)
    assert not any("entities" in part for part in texts_before)
    assert list(last_text) == ["type", "text", "entities"]
    assert list(alone) == ["type", "attachments"]


def test_citations_that_leave_no_room_for_a_text_are_refused() -> None:
    many = tuple(Citation(title="Guide", url=f"https://example.com/{number}") for number in range(5))
    with pytest.raises(MessageTooLarge, match="besides its text"):
        fitted(Answer("word", citations=many).to_activity(), max_bytes=LIMIT)


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


CITED = {"type": "https://schema.org/Message", "citation": []}


def types_of_entities(parts: list[dict[str, Any]]) -> list[list[str]]:
    return [[entity["type"] for entity in part.get("entities", [])] for part in parts]


def test_a_mention_goes_with_the_part_that_has_its_text_and_what_else_there_is_with_the_last() -> None:
    outgoing = {**Answer("word " * 200).to_activity(), "entities": [CITED]}
    parts = fitted(Mention("29:alex", "Alex").put_before(outgoing), max_bytes=LIMIT)
    assert len(parts) > 2
    assert parts[0]["text"].startswith("<at>Alex</at> word")
    assert types_of_entities(parts) == [["mention"], *[[]] * (len(parts) - 2), [CITED["type"]]]
    assert all(size(part) <= LIMIT for part in parts)


def test_a_mention_of_a_card_that_is_too_large_stays_with_what_is_sent_instead() -> None:
    outgoing = {**Answer(card=BIG_CARD).to_activity(), "entities": [CITED]}
    (part,) = fitted(Mention("29:alex", "Alex").put_before(outgoing), max_bytes=LIMIT)
    assert part["text"] == "<at>Alex</at>\n\nAn order"
    assert types_of_entities([part]) == [[CITED["type"], "mention"]]


@given(st.text("abc &<\u6f22", min_size=1, max_size=60), st.text("word \n", max_size=2000))
def test_no_part_mentions_whom_its_text_does_not(name: str, text: str) -> None:
    """Teams refuses a mention without its text, also where a long name is cut."""
    for part in fitted(Mention("29:alex", name).put_before(Answer(text).to_activity()), max_bytes=LIMIT):
        assert all(entity["text"] in part["text"] for entity in part.get("entities", []))
        assert size(part) <= LIMIT


def test_a_mention_that_leaves_no_room_for_text_is_too_large() -> None:
    with pytest.raises(MessageTooLarge, match="besides its text"):
        fitted(Mention("29:alex", "x" * 300).put_before(Answer("word").to_activity()), max_bytes=LIMIT)
