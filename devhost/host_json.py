"""host.json: what it says and what overrides it."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from devhost.app_settings import app_setting
from devhost.errors import HostStartError
from devhost.json_file import read_json_object


class HostJson:
    """host.json with the `AzureFunctionsJobHost__a__b` overrides; keys are found in any case."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    @classmethod
    def read(cls, script_root: Path) -> "HostJson":
        """Read host.json. Raises HostStartError when it is missing, broken or not version 2.0."""
        content = read_json_object(script_root / "host.json")
        if content.get("version") != "2.0":
            raise HostStartError(f'{script_root / "host.json"} must say "version": "2.0".')
        return cls(content)

    def get(self, path: str, default: Any = None) -> Any:
        """Value at a dotted path such as `extensions.queues.batchSize`; an override comes back as text."""
        override = self._override(path)
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

    @staticmethod
    def _override(path: str) -> str | None:
        return app_setting("AzureFunctionsJobHost__" + path.replace(".", "__"))

    def get_int(self, path: str, default: int, *, low: int, high: int) -> int:
        """Whole number at a path. Raises HostStartError when it is none or out of its limits."""
        value = self.get(path, default)
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise HostStartError(f"host.json: {path} must be a whole number, not {value!r}.") from None
        if not low <= number <= high:
            raise HostStartError(f"host.json: {path} must be between {low} and {high}, not {number}.")
        return number

    def get_texts(self, path: str) -> list[str]:
        """List of strings at a path; `AzureFunctionsJobHost__path__0` overrides its first element, and so on.

        Raises HostStartError.
        """
        texts = self.get(path, [])
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise HostStartError(f"host.json: {path} must be a list of strings.")
        texts = list(texts)
        for position in count():
            override = self._override(f"{path}.{position}")
            if override is not None:
                texts[position : position + 1] = [override]
            elif position >= len(texts):
                return texts
        raise AssertionError("count() does not end")
