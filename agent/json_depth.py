"""How deep a JSON text is nested, found out before it is parsed."""

# An Adaptive Card of thirty containers within each other has sixty levels; what reads deeper recurses.
DEEPEST = 64
AS_SQUARE = bytes.maketrans(b"{}", b"[]")
UNMARKED = bytes(set(range(256)) - set(b'[]{}"'))


def is_nested_deeper(text: bytes, deepest: int = DEEPEST) -> bool:
    """Whether the JSON ``text`` has more than ``deepest`` levels. What is no JSON may be called either."""
    if text.count(b"[") + text.count(b"{") <= deepest:
        return False
    # Without escapes, every second piece between quotes is a string.
    marks = text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(AS_SQUARE, UNMARKED)
    brackets = b"".join(marks.split(b'"')[::2])
    for _ in range(deepest):
        fewer = brackets.replace(b"[]", b"")  # the innermost level goes
        if len(fewer) == len(brackets):
            return False
        brackets = fewer
    return bool(brackets)
