"""How deeply JSON may be nested where the real host reads it."""

import json

DEEPEST = 64  # the reader's limit in the JSON library of the real host


class JsonRefused(ValueError):
    """The text is no JSON, or too deeply nested; the message says which."""


def read_json(text: str) -> object:
    """The value of a JSON text. Raises JsonRefused."""
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise JsonRefused(f"The content is not valid JSON: {error}.") from None
    except RecursionError:
        raise JsonRefused(_too_deep()) from None
    if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
        raise JsonRefused(_too_deep())
    return value


def json_token(text: str | None) -> object:
    """Stored JSON text as a value to show; what is no JSON, or too deep, is a string."""
    if text is None:
        return None
    try:
        return read_json(text)
    except JsonRefused:
        return text


def _too_deep() -> str:
    return f"The reader's MaxDepth of {DEEPEST} has been exceeded."


def _depth(value: object) -> int:
    """Levels of arrays and objects, counted no further than one too many."""
    level, containers = 0, [value] if isinstance(value, dict | list) else []
    while containers and level <= DEEPEST:
        level += 1
        containers = [
            inner
            for container in containers
            for inner in (container.values() if isinstance(container, dict) else container)
            if isinstance(inner, dict | list)
        ]
    return level
