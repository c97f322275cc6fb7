"""local.settings.json, and what it puts into the app's environment."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from devhost.app_settings import app_setting
from devhost.errors import HostStartError
from devhost.json_file import read_json_object

logger = logging.getLogger("devhost")
_NOT_IN_ENVIRONMENT = re.compile("[\0\ud800-\udfff]")
T = TypeVar("T", int, str, bool)


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
        if content.get(part) is None:
            content.pop(part, None)
        elif not isinstance(content[part], dict):
            raise HostStartError(f"{path}: {part} must be a JSON object.")
    return content


@dataclass(frozen=True, slots=True)
class HostSection:
    """The part `Host` of local.settings.json; a command-line flag overrides each."""

    port: int = 7071
    address: str = "127.0.0.1"
    cors: tuple[str, ...] = ()
    cors_credentials: bool = False

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "HostSection":
        """Take the section out of the file's content, in any case. Raises HostStartError."""
        given = {key.lower(): value for key, value in content.get("Host", {}).items() if value is not None}
        section = cls(
            port=_typed(given, "LocalHttpPort", int, 7071),
            address=_typed(given, "LocalHttpAddress", str, "127.0.0.1"),
            cors=origins(_typed(given, "CORS", str, "")),
            cors_credentials=_typed(given, "CORSCredentials", bool, False),
        )
        known = {"localhttpport", "localhttpaddress", "cors", "corscredentials"}
        for name in sorted(given.keys() - known):
            logger.warning("local.settings.json: Host.%s is not known and is ignored.", name)
        return section


def origins(text: str) -> tuple[str, ...]:
    """The origins of a comma-separated list."""
    return tuple(origin.strip() for origin in text.split(",") if origin.strip())


def _typed(given: Mapping[str, Any], name: str, kind: type[T], default: T) -> T:
    value = given.get(name.lower(), default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        kinds = {int: "a whole number", str: "a string", bool: "true or false"}
        raise HostStartError(f"local.settings.json: Host.{name} must be {kinds[kind]}, not {value!r}.")
    return value


def apply_local_settings(content: Mapping[str, Any]) -> None:
    """Put `Values` and `ConnectionStrings` into the environment; a variable that is set already wins.

    One that is set to nothing does not win, as for `func`.
    """
    values: dict[str, Any] = dict(content.get("Values", {}))
    for name, value in content.get("ConnectionStrings", {}).items():
        text = value.get("ConnectionString") if isinstance(value, dict) else value
        values[f"ConnectionStrings:{name}"] = text
    for name, value in values.items():
        if isinstance(value, dict | list):
            raise HostStartError(f"local.settings.json: the value of {name} must be a string.")
        if not name or "=" in name or _NOT_IN_ENVIRONMENT.search(f"{name}{value}"):
            raise HostStartError(f"local.settings.json: {name!r} cannot be an environment variable.")
        if os.environ.get(name):
            logger.info(
                "Skipping '%s' from local settings as it's already defined in current environment variables.",
                name,
            )
        elif value is None:
            logger.info("Skipping '%s' because value is null", name)
        else:
            os.environ[name] = str(value).lower() if isinstance(value, bool) else str(value)


def require_python(*, is_python: bool) -> None:
    """FUNCTIONS_WORKER_RUNTIME must be python; `is_python` stands for it. Raises HostStartError."""
    name = "FUNCTIONS_WORKER_RUNTIME"
    runtime = app_setting(name)
    if runtime is None and is_python:
        os.environ[name] = "python"
    elif not runtime:
        raise HostStartError(
            f"Missing value for {name} in local.settings.json. "
            "Set it to python there or in the environment, or pass --python."
        )
    elif runtime.lower() != "python":
        raise HostStartError(f"{name} is '{runtime}'; devhost runs Python apps only.")


def set_host_variables(script_root: Path, port: int) -> None:
    """Set the variables that the real host sets for the app."""
    os.environ["WEBSITE_HOSTNAME"] = f"localhost:{port}"
    os.environ["AzureWebJobsScriptRoot"] = str(script_root)  # noqa: SIM112 (the host's own name)
    os.environ.setdefault("AZURE_FUNCTIONS_ENVIRONMENT", "Development")
