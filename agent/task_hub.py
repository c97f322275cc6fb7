"""What crosses the task hub: plain JSON, for Durable stores the module names of objects in its history."""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec


def to_task_hub(value: Any) -> dict[str, Any]:
    """A struct as plain JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain


def from_task_hub(plain: Any, kind: Any) -> Any:
    """The ``kind`` of struct that ``plain`` was made from, perhaps by an older version of the app.

    On the event loop alone: orchestrators run in threads, and have a ``reader``.
    Raises msgspec.ValidationError.
    """
    return msgspec.convert(plain, kind)


def reader(kind: Any) -> Callable[[Any], Any]:
    """``from_task_hub`` for one kind, made at module level, for what runs in threads.

    msgspec 0.22 learns a struct, and those within it, when one is first read, and keeps no lock meanwhile:
    a thread that reads it just then takes the whole process down. So it learns it here, while the app is
    imported and nothing else runs.
    """
    msgspec.json.Decoder(kind)
    return partial(msgspec.convert, type=kind)
