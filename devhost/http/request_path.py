"""The path of a request as the real host's server, Kestrel, hands it to its routes."""

import re
from urllib.parse import quote, unquote_to_bytes

_NOT_ESCAPED = "/%:@!$&'()*+,;=~"
_ESCAPES = re.compile(r"(?:%[0-9a-fA-F]{2})+")


def read_path(raw_path: str) -> tuple[str, str]:
    """The path decoded, and the path with its escapes; both without dot segments.

    An encoded slash stays encoded, and so does what is no UTF-8. Raises ValueError when there is a NUL in it.
    """
    path = _ESCAPES.sub(_decoded, raw_path) if "%" in raw_path else raw_path
    if "\0" in path:
        raise ValueError("a path must not have a NUL in it.")
    if "/." not in path:
        return path, raw_path
    path = _without_dots(path)
    return path, quote(path, safe=_NOT_ESCAPED)


def _decoded(match: re.Match[str]) -> str:
    escapes = re.split("(%2[fF])", match[0])
    return "".join(text if place % 2 else _utf8_or_as_it_is(text) for place, text in enumerate(escapes))


def _utf8_or_as_it_is(escapes: str) -> str:
    """Decode what is UTF-8; a byte that is not stays as its escape."""
    text = unquote_to_bytes(escapes).decode("utf-8", "surrogateescape")
    return "".join(
        f"%{ord(letter) - 0xDC00:02X}" if 0xDC80 <= ord(letter) <= 0xDCFF else letter for letter in text
    )


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
