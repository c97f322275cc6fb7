"""The host's keys: one file in the data directory, made when it is missing."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from hmac import compare_digest
from pathlib import Path
from typing import Any

from devhost.errors import HostStartError

DEFAULT_KEY = "default"
MASTER_KEY = "_master"
DURABLE_KEY = "durabletask_extension"
_KEY_BYTES = 40


class Level(IntEnum):
    """What a caller may do; each is also an authorization level of a function, but for `SYSTEM`."""

    ANONYMOUS = 0
    FUNCTION = 1
    SYSTEM = 2
    ADMIN = 3


@dataclass(slots=True)
class HostKeys:
    """The keys by their names. Names are found in any case; what a key opens is `level_of`."""

    path: Path
    master: str
    host: dict[str, str]
    system: dict[str, str]
    functions: dict[str, dict[str, str]]

    @classmethod
    def read(cls, path: Path, function_names: list[str]) -> "HostKeys":
        """Read the file, and write it when a key is missing in it. Raises HostStartError."""
        try:
            content = json.loads(path.read_text("utf-8")) if path.exists() else {}
            keys = cls(
                path,
                str(content.get("masterKey") or new_key()),
                _texts(content.get("functionKeys", {})) or {DEFAULT_KEY: new_key()},
                _texts(content.get("systemKeys", {})),
                {name: _texts(given) for name, given in content.get("functions", {}).items()},
            )
        except (OSError, ValueError, AttributeError) as error:
            raise HostStartError(f"{path} cannot be read as a file of keys: {error}.") from None
        keys.system.setdefault(DURABLE_KEY, new_key())
        for name in function_names:
            keys.functions.setdefault(name.lower(), {DEFAULT_KEY: new_key()})
        if keys.content() != content:
            keys.write()
        return keys

    def content(self) -> dict[str, Any]:
        """What stands in the file."""
        return {
            "masterKey": self.master,
            "functionKeys": self.host,
            "systemKeys": self.system,
            "functions": self.functions,
        }

    def write(self) -> None:
        """Write the file anew, readable by its owner alone. Raises HostStartError."""
        fresh = self.path.with_suffix(".new")
        try:
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self.content(), file, indent=2)
            fresh.replace(self.path)
        except OSError as error:
            raise HostStartError(f"{self.path} cannot be written: {error.strerror}.") from None

    def level_of(self, given: str, function_name: str = "") -> Level:
        """What a caller with this key may do: with a function by its own keys, with all by the host's."""
        if _same(given, self.master):
            return Level.ADMIN
        if _any_is(given, self.system):
            return Level.SYSTEM
        own = self.functions.get(function_name.lower(), {})
        if _any_is(given, self.host) or _any_is(given, own):
            return Level.FUNCTION
        return Level.ANONYMOUS

    def opens_system(self, given: str, name: str) -> bool:
        """Whether the key is the named system key, or the master key."""
        return _same(given, self.master) or _same(given, self.system.get(name, ""))


def new_key() -> str:
    """A key that nobody guesses."""
    return secrets.token_urlsafe(_KEY_BYTES) + "=="


def _texts(given: Mapping[str, object]) -> dict[str, str]:
    return {str(name): str(value) for name, value in given.items()}


def _any_is(given: str, keys: Mapping[str, str]) -> bool:
    return any([_same(given, key) for key in keys.values()])  # noqa: C419 (all are compared: no time tells which)


def _same(given: str, key: str) -> bool:
    """Compared in constant time; an empty key opens nothing."""
    return bool(key) and compare_digest(given.encode("utf-8", "replace"), key.encode())
