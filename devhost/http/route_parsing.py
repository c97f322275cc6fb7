"""Reads an ASP.NET route template: segments of literals and parameters, and what is no template."""

from collections.abc import Sequence
from dataclasses import dataclass

from devhost.http.route_constraints import Constraint, constraint_of

_NOT_IN_A_NAME = frozenset("/{}?*")


@dataclass(frozen=True, slots=True)
class Parameter:
    """`{name}` with what may stand in its braces. `default` is None when there is none."""

    name: str
    is_optional: bool = False
    is_catch_all: bool = False
    default: str | None = None
    constraints: tuple[Constraint, ...] = ()

    @property
    def may_be_absent(self) -> bool:
        return self.is_optional or self.is_catch_all or self.default is not None


Part = str | Parameter  # a literal, or a parameter
Segment = tuple[Part, ...]  # what stands between two slashes; mostly one part


def parse_template(text: str) -> list[Segment]:
    """The segments of a template. Raises ValueError on one that ASP.NET would refuse."""
    trimmed = text.removeprefix("~/") if text.startswith("~/") else text.removeprefix("/")
    if trimmed.startswith("~"):
        raise ValueError("it must not begin with '~'.")
    segments: list[Segment] = []
    seen: set[str] = set()
    for piece in _split_outside_braces(trimmed):
        if not piece:
            raise ValueError("two slashes stand one after the other.")
        segment = tuple(_parts(piece))
        _check_segment(segment)
        for parameter in (part for part in segment if isinstance(part, Parameter)):
            if parameter.name.lower() in seen:
                raise ValueError(f"the parameter '{parameter.name}' appears twice.")
            seen.add(parameter.name.lower())
        segments.append(segment)
    for segment in segments[:-1]:
        if any(isinstance(part, Parameter) and part.is_catch_all for part in segment):
            raise ValueError("a catch-all parameter must be the last one.")
    return segments


def _split_outside_braces(text: str) -> list[str]:
    """Split at slashes, though not at those within a parameter, where a regex may have one."""
    pieces, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "{" and text[position : position + 2] != "{{":
            position = _end_of_parameter(text, position)
        elif text[position : position + 2] in ("{{", "}}"):
            position += 2
        elif text[position] == "/":
            pieces.append(text[start:position])
            position += 1
            start = position
        else:
            position += 1
    if start < len(text):  # a trailing slash means nothing
        pieces.append(text[start:])
    return pieces


def _end_of_parameter(text: str, start: int) -> int:
    """The place behind the brace that closes the parameter; within it braces are doubled."""
    position = start + 1
    while position < len(text):
        pair = text[position : position + 2]
        if pair in ("{{", "}}"):
            position += 2
        elif text[position] == "}":
            return position + 1
        elif text[position] == "{":
            raise ValueError("a brace within a parameter must be doubled.")
        else:
            position += 1
    raise ValueError("braces do not match.")


def _parts(piece: str) -> list[Part]:
    parts: list[Part] = []
    literal, position = "", 0
    while position < len(piece):
        pair = piece[position : position + 2]
        if pair in ("{{", "}}"):
            literal += pair[0]
            position += 2
        elif pair[0] == "{":
            if literal:
                parts.append(literal)
                literal = ""
            end = _end_of_parameter(piece, position)
            inside = piece[position + 1 : end - 1].replace("}}", "}").replace("{{", "{")
            parts.append(_parameter(inside))
            position = end
        elif pair[0] in "}?":
            raise ValueError(
                "braces do not match." if pair[0] == "}" else "a literal must not have a '?' in it."
            )
        else:
            literal += pair[0]
            position += 1
    if literal:
        parts.append(literal)
    return parts


def _parameter(inside: str) -> Parameter:
    is_catch_all = inside.startswith("*")
    rest = inside[2:] if inside.startswith("**") else inside[1:] if is_catch_all else inside
    is_optional = rest.endswith("?")
    rest = rest[:-1] if is_optional else rest
    end = next((place for place, letter in enumerate(rest) if letter in ":=" and place), len(rest))
    name = rest[:end]
    if not name or _NOT_IN_A_NAME & set(name):
        raise ValueError(f"'{name}' is no name of a parameter.")
    constraints, default = _constraints_and_default(rest[end:])
    if is_optional and is_catch_all:
        raise ValueError(f"the catch-all parameter '{name}' cannot be optional.")
    if is_optional and default is not None:
        raise ValueError(f"the parameter '{name}' cannot be optional and have a default value.")
    return Parameter(name, is_optional, is_catch_all, default, tuple(map(constraint_of, constraints)))


def _constraints_and_default(text: str) -> tuple[list[str], str | None]:
    """`:int:min(1)=5` as `int`, `min(1)` and `5`; `:` and `=` within parentheses belong to a constraint."""
    constraints: list[str] = []
    position = 0
    while position < len(text) and text[position] == ":":
        end = _end_of_constraint(text, position + 1)
        if end > position + 1:
            constraints.append(text[position + 1 : end])
        position = end
    return constraints, text[position + 1 :] if position < len(text) else None


def _end_of_constraint(text: str, start: int) -> int:
    depth_from = text.find("(", start)
    plain_end = min(
        (place for place in (text.find(":", start), text.find("=", start)) if place >= 0), default=-1
    )
    if depth_from < 0 or 0 <= plain_end < depth_from:
        return plain_end if plain_end >= 0 else len(text)
    position = depth_from
    while (position := text.find(")", position)) >= 0:
        position += 1
        if position == len(text) or text[position] in ":=":
            return position
    return plain_end if plain_end >= 0 else len(text)


def _check_segment(segment: Sequence[Part]) -> None:
    for place, part in enumerate(segment):
        if not isinstance(part, Parameter) or len(segment) == 1:
            continue
        before = segment[place - 1] if place else None
        if part.is_catch_all:
            raise ValueError("a catch-all parameter must stand alone between slashes.")
        if isinstance(before, Parameter):
            raise ValueError("two parameters must have something between them.")
        if part.is_optional and (place != len(segment) - 1 or before != "."):
            raise ValueError(f"the optional parameter '{part.name}' must be the last one, behind a period.")
