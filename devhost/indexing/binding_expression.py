"""Binding expressions: `{name}` in the path of a blob or the name of an output queue."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from devhost.indexing.net_date_format import format_moment

_TOKEN = re.compile(
    r"(?P<escape>\{\{|\}\})|\{(?P<expression>[^{}]*)\}|(?P<literal>[^{}]+)|(?P<unbalanced>[{}])"
)
_IDENTIFIER = re.compile(r"[^\W\d][\w.\-]*")
_RANDOM, _NOW = "rand-guid", "datetime"
_NOW_FORMAT = "yyyy-MM-ddTHH-mm-ssK"  # what {DateTime} gives: no colon, so that it can be a part of a path

Values = Mapping[str, object]
"""What a trigger gives to expressions: names in lower case; texts, and mappings for nested members."""


@dataclass(frozen=True, slots=True)
class _Expression:
    """`name.member:format`; `builtin` is the name of a value that needs no trigger."""

    parts: tuple[str, ...]
    format: str
    builtin: str = ""


@dataclass(frozen=True, slots=True)
class BindingExpression:
    """A text with expressions in it, read once."""

    tokens: tuple[str | _Expression, ...]

    @property
    def literal(self) -> str | None:
        """The text when it has no expressions."""
        texts = [token for token in self.tokens if isinstance(token, str)]
        return "".join(texts) if len(texts) == len(self.tokens) else None

    @property
    def leading_text(self) -> str:
        """The text before the first expression."""
        leading = ""
        for token in self.tokens:
            if not isinstance(token, str):
                break
            leading += token
        return leading

    def evaluate(self, values: Values) -> str:
        """The text with every expression replaced. Raises ValueError when one has no value."""
        return "".join(token if isinstance(token, str) else _evaluate(token, values) for token in self.tokens)


def parse_expression(text: str) -> BindingExpression:
    """Read a text with expressions. Raises ValueError with the real host's reasons."""
    tokens: list[str | _Expression] = []
    for match in _TOKEN.finditer(text):
        if match["unbalanced"]:
            kind = "closing" if match["unbalanced"] == "{" else "opening"
            raise ValueError(
                f"Invalid template '{text}'. Missing {kind} bracket at position {match.start() + 1}."
            )
        if match["escape"] or match["literal"]:
            tokens.append((match["escape"] or match["literal"])[: 1 if match["escape"] else None])
        elif not match["expression"]:
            raise ValueError(
                f"Invalid template '{text}'. The parameter name at position {match.start() + 1} is empty."
            )
        else:
            tokens.append(_read(match["expression"], text))
    return BindingExpression(tuple(tokens))


def _read(expression: str, text: str) -> _Expression:
    builtin = next((name for name in (_RANDOM, _NOW) if expression.lower().startswith(name)), "")
    if builtin:
        suffix = expression[len(builtin) :]
        return _Expression((expression,), suffix[1:] if suffix.startswith(":") else "", builtin)
    name, _, form = expression.partition(":")
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"Invalid template '{text}'. Invalid template expression '{name}'.")
    parts = tuple(name.split("."))
    if "-" in parts[0]:
        raise ValueError(f"Invalid template '{text}'. The parameter name '{parts[0]}' is invalid.")
    if not all(parts):
        raise ValueError(f"Invalid template '{text}'. Illegal expression: '{name}'.")
    return _Expression(parts, form)


def _evaluate(expression: _Expression, values: Values) -> str:
    name = expression.parts[0]
    value = values.get(name.lower())
    if value is None:
        if expression.builtin == _RANDOM:
            return _text(uuid.uuid4(), expression.format)
        if expression.builtin == _NOW:
            return _text(datetime.now(UTC), expression.format)
        raise ValueError(f"No value for named parameter '{name}'.")
    for member in expression.parts[1:]:
        value = _member(value, member)
    return _text(value, expression.format)


def _member(value: object, name: str) -> object:
    if isinstance(value, Mapping):
        for key, member in value.items():
            if str(key).lower() == name.lower():
                return member() if callable(member) else member
    raise ValueError(f"Error while accessing '{name}': property doesn't exist.")


def _text(value: object, form: str) -> str:
    if isinstance(value, datetime):
        return format_moment(value, form.strip() or _NOW_FORMAT)
    if isinstance(value, uuid.UUID):
        return _guid(value, form.strip().upper() or "D")
    return scalar_text(value)


def _guid(value: uuid.UUID, form: str) -> str:
    texts = {"D": str(value), "N": value.hex, "B": f"{{{value}}}", "P": f"({value})"}
    if form not in texts:
        raise ValueError(f"'{form}' is no format of a GUID: N, D, B and P are.")
    return texts[form]


def scalar_text(value: object) -> str:
    """A JSON value as .NET writes it into a text: `True`, ``""`` for null, JSON for what is nested."""
    if value is None:
        return ""
    if isinstance(value, str | bool | int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
