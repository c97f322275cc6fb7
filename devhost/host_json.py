"""host.json: what it says, and what overrides it."""

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from devhost.errors import HostStartError
from devhost.host_json_keys import KeyReport, report_keys
from devhost.json_file import read_json_object
from devhost.timespan import parse_timespan

_PREFIX = "azurefunctionsjobhost:"


class HostJson:
    """host.json with the `AzureFunctionsJobHost__a__b` overrides; keys are found in any case.

    An override comes back as text, whatever the key takes; the `get_` methods read and check it.
    All raise HostStartError with the key's path and what it must be.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    @classmethod
    def read(cls, script_root: Path) -> "HostJson":
        """Read host.json. Raises HostStartError when it is missing, broken or not version 2.0."""
        content = read_json_object(script_root / "host.json")
        host_json = cls(content)
        if host_json.get("version") != "2.0":
            raise HostStartError(f'{script_root / "host.json"} must say "version": "2.0".')
        return host_json

    def report(self) -> KeyReport:
        """Which keys are ignored or not known, those of the overrides included."""
        return report_keys(self._content, [path for path, _ in _overrides()])

    def get(self, path: str, default: Any = None) -> Any:
        """Value at a dotted path such as `extensions.queues.batchSize`; an override comes back as text."""
        override = _override(path)
        if override is not None:
            return override
        node: Any = self._content
        for part in path.split("."):
            if not isinstance(node, dict):
                return default
            node = next((value for key, value in node.items() if key.lower() == part.lower()), None)
            if node is None:
                return default
        return node

    def get_text(self, path: str, default: str) -> str:
        """String at a path."""
        value = self.get(path, default)
        if not isinstance(value, str):
            raise HostStartError(f"host.json: {path} must be a string, not {value!r}.")
        return value

    def get_flag(self, path: str, default: bool) -> bool:
        """true or false at a path, as itself or as text."""
        value = self.get(path, default)
        text = str(value).strip().lower()
        if isinstance(value, bool | str) and text in ("true", "false"):
            return text == "true"
        raise HostStartError(f"host.json: {path} must be true or false, not {value!r}.")

    def get_int(self, path: str, default: int, *, low: int, high: int) -> int:
        """Whole number at a path, as itself or as text, within its limits."""
        value = self.get(path, default)
        try:
            if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
                raise ValueError
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            raise HostStartError(f"host.json: {path} must be a whole number, not {value!r}.") from None
        if not low <= number <= high:
            raise HostStartError(f"host.json: {path} must be between {low} and {high}, not {number}.")
        return number

    def get_span(self, path: str, default: str) -> timedelta:
        """TimeSpan at a path."""
        value = self.get(path, default)
        try:
            return parse_timespan(str(value))
        except (ValueError, OverflowError):
            raise HostStartError(f"host.json: {path} must be a TimeSpan (hh:mm:ss), not {value!r}.") from None

    def get_texts(self, path: str) -> list[str]:
        """List of strings at a path; `AzureFunctionsJobHost__path__0` overrides its first, and so on."""
        texts = self.get(path, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise HostStartError(f"host.json: {path} must be a list of strings, not {texts!r}.")
        texts = list(texts)
        for position in count():
            override = _override(f"{path}.{position}")
            if override is not None:
                texts[position : position + 1] = [override]
            elif position >= len(texts):
                return texts
        raise AssertionError("count() does not end")

    def get_table(self, path: str) -> dict[str, Any]:
        """Names and values at a path that has names of the app's own, overridden and added to one by one."""
        given = self.get(path, {})
        if not isinstance(given, dict):
            raise HostStartError(f"host.json: {path} must be a JSON object, not {given!r}.")
        table = dict(given)
        start = f"{path.lower()}."
        for name, value in _overrides():
            if name.lower().startswith(start):
                key = name[len(start) :]
                table = {k: v for k, v in table.items() if k.lower() != key.lower()}
                table[key] = value
        return table


def _overrides() -> Iterator[tuple[str, str]]:
    """Dotted paths that the environment overrides, with their values."""
    for name, value in os.environ.items():
        key = name.replace("__", ":")
        if key.lower().startswith(_PREFIX):
            yield key[len(_PREFIX) :].replace(":", "."), value


def _override(path: str) -> str | None:
    wanted = path.lower()
    return next((value for name, value in _overrides() if name.lower() == wanted), None)
