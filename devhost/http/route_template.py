"""ASP.NET route templates: which path fits, and what its parameters are."""

from collections.abc import Sequence
from dataclasses import dataclass

from devhost.http.route_parsing import Parameter, Part, Segment, parse_template


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A template that was read. `match` gives the route parameters; an absent optional one is left out."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def literal(self) -> str | None:
        """The one path that fits, in lower case and without slashes around it; None when there are others."""
        parts = [segment[0] for segment in self.segments]
        literals = [part.lower() for part in parts if isinstance(part, str)]
        is_literal = len(literals) == len(parts) and all(len(segment) == 1 for segment in self.segments)
        return "/".join(literals) if is_literal else None

    def match(self, path: str) -> dict[str, str] | None:
        """Match a decoded path, with or without its leading slash; None when it does not fit."""
        given = split_path(path)
        found: dict[str, str] = {}
        for place, segment in enumerate(self.segments):
            first = segment[0]
            if place >= len(given):
                if len(segment) > 1 or not isinstance(first, Parameter) or not first.may_be_absent:
                    return None
            elif not given[place]:
                return None
            elif isinstance(first, Parameter) and first.is_catch_all:
                found[first.name] = path.removeprefix("/").split("/", place)[place]
                return self._checked(found)
            elif not _match_segment(segment, given[place], found):
                return None
        return self._checked(found) if len(given) <= len(self.segments) else None

    def _checked(self, found: dict[str, str]) -> dict[str, str] | None:
        """The values with the defaults, when the constraints hold for them."""
        for segment in self.segments:
            for part in segment:
                if not isinstance(part, Parameter):
                    continue
                if part.default is not None:
                    found.setdefault(part.name, part.default)
                value = found.get(part.name)
                if value is None:
                    if part.constraints and not part.is_optional:
                        return None
                elif not all(fits(value) for fits in part.constraints):
                    return None
        return found


def compile_template(text: str) -> RouteTemplate:
    """Read `a/{b}/{c:int}/{d?}/{*rest}`. Raises ValueError on a template that means nothing."""
    try:
        return RouteTemplate(text, tuple(parse_template(text)))
    except ValueError as reason:
        raise ValueError(f"The route template '{text}' is not valid: {reason}") from None


def split_path(path: str) -> list[str]:
    """The segments of a path. One slash at its end means nothing; two make an empty segment."""
    inner = path.removeprefix("/")
    return inner.removesuffix("/").split("/") if inner else []


def _folded(text: str) -> str:
    """The text in lower case, each character still in its place."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text


def _match_segment(segment: Segment, given: str, found: dict[str, str]) -> bool:
    if len(segment) > 1:
        return _match_parts(segment, given, found)
    [part] = segment
    if isinstance(part, Parameter):
        found[part.name] = given
        return True
    return part.lower() == given.lower()


def _match_parts(segment: Segment, given: str, found: dict[str, str]) -> bool:
    """Several parts in one segment; when the last is optional and absent, its period is, too."""
    last = segment[-1]
    if isinstance(last, Parameter) and last.is_optional:
        if _match_from_the_right(segment, given, found):
            return True
        return not given.endswith(".") and _match_from_the_right(segment[:-2], given, found)
    return _match_from_the_right(segment, given, found)


def _match_from_the_right(parts: Sequence[Part], given: str, found: dict[str, str]) -> bool:
    """Each literal is looked for from the right, behind at least one character for its neighbours."""
    values: dict[str, str] = {}
    end, waiting = len(given), None
    for part in reversed(parts):
        if isinstance(part, Parameter):
            waiting = part
            continue
        limit = end - 1 if waiting else end
        place = _folded(given).rfind(_folded(part), 0, max(limit, 0))
        if place < 0 or (part is parts[-1] and place + len(part) != len(given)):
            return False
        if waiting:
            values[waiting.name] = given[place + len(part) : end]
            if not values[waiting.name]:
                return False
            waiting = None
        end = place
    if waiting:
        if end == 0:
            return False
        values[waiting.name] = given[:end]
    elif end != 0:
        return False
    found.update(values)
    return True
