"""What crosses the task hub: plain JSON, for Durable stores the module names of objects in its history."""

from typing import Any

import msgspec


def to_task_hub(value: Any) -> dict[str, Any]:
    """A struct as plain JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain


def from_task_hub(plain: Any, kind: Any) -> Any:
    """The ``kind`` of struct that ``plain`` was made from, perhaps by an older version of the app.

    Raises msgspec.ValidationError.
    """
    return msgspec.convert(plain, kind)
