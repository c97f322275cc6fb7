"""How deep a JSON text is nested, found out before it is parsed."""

from itertools import accumulate

# An Adaptive Card of thirty containers within each other has sixty levels; what reads deeper recurses.
DEEPEST = 64
BRACKETS = b"[]{}"
STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
NOT_BRACKETS = bytes(set(range(256)) - set(BRACKETS))


def is_nested_deeper(text: bytes, deepest: int = DEEPEST) -> bool:
    """Whether the JSON ``text`` has more than ``deepest`` levels. What is no JSON may be called either."""
    if text.count(b"[") + text.count(b"{") <= deepest:
        return False
    # Without escapes, every second piece between quotes is a string.
    outside = text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    brackets = b"".join(outside).translate(None, NOT_BRACKETS)
    return max(accumulate(map(STEP.__getitem__, brackets)), default=0) > deepest
