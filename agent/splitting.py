"""Cuts long text at the best ends there are; a code block that is cut stays one, and an emoji is not cut."""

import re
import unicodedata

import msgspec

# Where text is split, the best place first: paragraphs, lines, sentences, words.
ENDS = (re.compile(r"\n[ \t]*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?]) "), re.compile(r" "))
# CommonMark, "Fenced code blocks": the marker, and after it the info string.
FENCE = re.compile(r"^ {0,3}(`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$", re.MULTILINE)
FENCES_SHARE = 4  # of a piece that fences may take; wider ones are not mended
JOINER = "\u200d"
# What belongs to the character before it, besides marks: joiners, skin tones, the tags of some flags.
EXTENDING = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two make a flag


class _CodeBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A fenced code block of a text, by its offsets; one that is never closed goes to the text's end."""

    start: int
    code_start: int
    code_end: int
    end: int
    opening: str
    marker: str


def split(text: str, *, max_bytes: int) -> list[str]:
    """The text in pieces of at most ``max_bytes`` in JSON and UTF-16, cut at the best end there is.

    A code block that is cut is closed at the end of the piece, and opened again in the next.
    """
    pieces = []
    rest = text
    while text_bytes(rest) > max_bytes:
        piece, rest = _first_piece(rest, max_bytes)
        pieces.append(piece)
    return [piece for piece in [*pieces, rest] if piece]


def text_bytes(text: str) -> int:
    return utf16_bytes(msgspec.json.encode(text))


def utf16_bytes(utf8: bytes) -> int:
    return len(utf8) * 2 if utf8.isascii() else len(utf8.decode().encode("utf-16-le"))


def _first_piece(text: str, max_bytes: int) -> tuple[str, str]:
    """The first piece, and what is left; this begins anew the code block that was cut."""
    blocks = _code_blocks(text, max_bytes)
    closing_bytes = max((text_bytes(f"\n{block.marker}") for block in blocks), default=0)
    longest = _longest_prefix(text, max_bytes - closing_bytes)
    # Of a block that is opened again at least one character is taken, so that there is an end to it.
    least = blocks[0].code_start if blocks and blocks[0].start == 0 else 0
    cut = _best_end(text, least, longest)
    block = next((block for block in blocks if block.start < cut < block.end), None)
    if block is None:
        return text[:cut].rstrip(), text[cut:].lstrip()
    if block.start and (cut <= block.code_start or block.start >= longest // 2):
        return text[: block.start].rstrip(), text[block.start :]
    return _cut_block(text, cut, block)


def _cut_block(text: str, cut: int, block: _CodeBlock) -> tuple[str, str]:
    if text[cut : block.code_end].strip():
        code, rest = text[:cut], f"{block.opening}\n" + text[cut:].lstrip("\r\n")
    else:
        code, rest = text[: block.code_end], text[block.end :].lstrip()
    code = code.rstrip()
    is_empty = code == block.opening.rstrip()
    return "" if is_empty else f"{code}\n{block.marker}", rest


def _code_blocks(text: str, max_bytes: int) -> list[_CodeBlock]:
    """The blocks that begin where it may be cut: a piece has fewer than ``max_bytes`` characters."""
    blocks = []
    at = 0
    while (opening := FENCE.search(text, at)) and opening.start() < max_bytes:
        marker = opening[1]
        closes = re.compile(rf"^ {{0,3}}{marker[0]}{{{len(marker)},}}[ \t\r]*$", re.MULTILINE)
        closing = closes.search(text, opening.end())
        at = closing.end() if closing else len(text)
        if text_bytes(f"{opening[0]}\n\n{marker}") > max_bytes // FENCES_SHARE:
            continue
        blocks.append(
            _CodeBlock(
                start=opening.start(),
                code_start=min(opening.end() + 1, len(text)),
                code_end=closing.start() if closing else len(text),
                end=at,
                opening=opening[0],
                marker=marker,
            )
        )
    return blocks


def _longest_prefix(text: str, max_bytes: int) -> int:
    """How many characters of the text fit, at least one."""
    low, high = 1, min(len(text), max_bytes)
    while low < high:
        middle = (low + high + 1) // 2
        if text_bytes(text[:middle]) <= max_bytes:
            low = middle
        else:
            high = middle - 1
    return low


def _best_end(text: str, least: int, longest: int) -> int:
    """Where to cut: after more than ``least`` and at most ``longest`` characters, if it can be no less than
    a half of these."""
    for end in ENDS:
        found = [match.end() for match in end.finditer(text, max(longest // 2, least), longest)]
        apart = [cut for cut in found if cut > least and not _is_within_character(text, cut)]
        if apart:
            return apart[-1]
    cuts = range(longest, least, -1)
    return next((cut for cut in cuts if not _is_within_character(text, cut)), longest)


def _is_within_character(text: str, cut: int) -> bool:
    """Whether what is seen as one character would be cut: Unicode's UAX #29, but for Hangul's letters."""
    if cut == len(text):
        return False
    before, after = text[cut - 1], text[cut]
    if before == JOINER or EXTENDING.match(after) or unicodedata.category(after).startswith("M"):
        return True
    if before not in FLAG_LETTERS or after not in FLAG_LETTERS:
        return False
    letters = cut - len(text[:cut].rstrip(FLAG_LETTERS))
    return letters % 2 == 1
