"""ASP.NET route templates, as far as HTTP triggers use them."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

_PARAMETER = re.compile(
    r"\{(?P<stars>\*{0,2})(?P<name>[^{}:?=]+)(?P<constraints>(?::[^{}?=]+)?)(?:=(?P<default>[^{}?]*))?(?P<optional>\??)\}"
)
_CONSTRAINTS = {
    "int": r"-?\d+",
    "long": r"-?\d+",
    "alpha": r"[A-Za-z]+",
    "bool": r"(?:true|false)",
    "guid": r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}",
    "decimal": r"-?\d+(?:\.\d+)?",
    "double": r"-?\d+(?:\.\d+)?",
    "float": r"-?\d+(?:\.\d+)?",
}


@dataclass(frozen=True, slots=True)
class RouteTemplate:
    """A compiled template. `match` gives the route parameters; an absent optional one is left out."""

    text: str
    pattern: re.Pattern[str]
    defaults: dict[str, str]

    def match(self, path: str) -> dict[str, str] | None:
        """Match a still percent-encoded path without its leading slash; None when it does not match."""
        match = self.pattern.fullmatch(path.strip("/"))
        if match is None:
            return None
        found = {name: unquote(value) for name, value in match.groupdict().items() if value}
        return {**self.defaults, **found}


def compile_template(text: str) -> RouteTemplate:
    """Compile `a/{b}/{c:int}/{d?}/{*rest}`. Raises ValueError on a template that means nothing."""
    expression = ""
    defaults: dict[str, str] = {}
    names: set[str] = set()
    for segment in text.strip("/").split("/"):
        piece, position, optional = "", 0, False
        for found in _PARAMETER.finditer(segment):
            piece += re.escape(segment[position : found.start()])
            position = found.end()
            name = found["name"]
            if name.lower() in names or not name.isidentifier():
                raise ValueError(f"The route template '{text}' is not valid at '{{{name}}}'.")
            names.add(name.lower())
            if found["default"] is not None:
                defaults[name] = found["default"]
            optional = bool(found["optional"]) or found["default"] is not None or bool(found["stars"])
            piece += f"(?P<{name}>{_value_pattern(found['constraints'], text, bool(found['stars']))})"
        rest = segment[position:]
        if "{" in rest or "}" in rest:
            raise ValueError(f"The route template '{text}' is not valid: braces do not match.")
        piece += re.escape(rest)
        slash = "/" if expression else ""
        expression += f"(?:{slash}{piece})?" if optional else f"{slash}{piece}"
    return RouteTemplate(text, re.compile(expression, re.IGNORECASE), defaults)


def _value_pattern(constraints: str, text: str, catch_all: bool) -> str:
    if not constraints:
        return ".*" if catch_all else "[^/]+"
    name = constraints.lstrip(":").lower()
    known = _CONSTRAINTS.get(name)
    if known is None:
        raise ValueError(
            f"The route template '{text}' uses the constraint '{name}', which devhost does not know."
        )
    return known
