"""local.settings.json, and what it puts into the app's environment."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devhost.errors import HostStartError
from devhost.json_file import read_json_object

logger = logging.getLogger("devhost")


def read_local_settings(script_root: Path) -> dict[str, Any]:
    """Read local.settings.json; a missing file is an empty one, as for `func`. Raises HostStartError."""
    path = script_root / "local.settings.json"
    if not path.exists():
        return {}
    content = read_json_object(path)
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
