"""local.settings.json and host.json: what they say, what overrides them, and how `%name%` is resolved."""

import json
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devhost.errors import HostStartError

logger = logging.getLogger("devhost")
_TOKEN = re.compile(r"%([^%\s]+)%")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HostStartError(f"{path.name} is missing in {path.parent}.") from None
    except OSError as error:
        raise HostStartError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise HostStartError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise HostStartError(f"{path} must hold one JSON object.")
    return content


def read_local_settings(script_root: Path) -> dict[str, Any]:
    """Read local.settings.json; a missing file is an empty one, as for `func`. Raises HostStartError."""
    path = script_root / "local.settings.json"
    if not path.exists():
        return {}
    content = _read_json(path)
    has_values = content.get("Values") or content.get("ConnectionStrings")
    if content.get("IsEncrypted", True) and has_values:
        raise HostStartError(
            f'{path} is encrypted, or does not say "IsEncrypted": false; devhost cannot decrypt settings.'
        )
    for part in ("Values", "ConnectionStrings", "Host"):
        if not isinstance(content.get(part, {}), dict):
            raise HostStartError(f"{path}: {part} must be a JSON object.")
    return content


def apply_local_settings(content: Mapping[str, Any]) -> None:
    """Put `Values` and `ConnectionStrings` into the environment; a variable that is set already wins."""
    values: dict[str, Any] = dict(content.get("Values", {}))
    for name, value in content.get("ConnectionStrings", {}).items():
        text = value.get("ConnectionString") if isinstance(value, dict) else value
        values[f"ConnectionStrings:{name}"] = text
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, dict | list):
            raise HostStartError(f"local.settings.json: the value of {name} must be a string.")
        if name in os.environ:
            logger.info(
                "Skipping '%s' from local settings as it's already defined in current environment variables.",
                name,
            )
            continue
        os.environ[name] = str(value).lower() if isinstance(value, bool) else str(value)


def set_host_variables(script_root: Path, port: int) -> None:
    """Set the variables that the real host sets for the app."""
    os.environ["WEBSITE_HOSTNAME"] = f"localhost:{port}"
    os.environ["AzureWebJobsScriptRoot"] = str(script_root)  # noqa: SIM112 (the host's own name)
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")


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


class HostJson:
    """host.json with the `AzureFunctionsJobHost__a__b` overrides; keys are found in any case."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    @classmethod
    def read(cls, script_root: Path) -> "HostJson":
        """Read host.json. Raises HostStartError when it is missing, broken or not version 2.0."""
        content = _read_json(script_root / "host.json")
        if content.get("version") != "2.0":
            raise HostStartError(f'{script_root / "host.json"} must say "version": "2.0".')
        return cls(content)

    def get(self, path: str, default: Any = None) -> Any:
        """Value at a dotted path such as `extensions.queues.batchSize`; an override comes back as text."""
        override = app_setting("AzureFunctionsJobHost__" + path.replace(".", "__"))
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
