"""App settings: how one is looked up, and how `%name%` is resolved."""

import os
import re

_TOKEN = re.compile(r"%([^%\s]+)%")


def app_setting(name: str) -> str | None:
    """Look an app setting up: `A:B` and `A__B` are one key, and case does not matter."""
    if name in os.environ:
        return os.environ[name]
    wanted = name.replace("__", ":").lower()
    for key, value in os.environ.items():
        if key.replace("__", ":").lower() == wanted:
            return value
    return None


def resolve_tokens(text: str) -> str:
    """Replace every `%name%` by the app setting of that name. Raises ValueError when one is not set."""

    def value_of(match: re.Match[str]) -> str:
        value = app_setting(match[1])
        if value is None:
            raise ValueError(f"'%{match[1]}%' does not resolve to a value.")
        return value

    return _TOKEN.sub(value_of, text)
