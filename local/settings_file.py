"""local.settings.json, its example and host.json: told in one line what is wrong with them."""

import json
from pathlib import Path
from typing import Any

from local.functions_host import ROOT
from local.processes import StackError

SETTINGS_FILE = ROOT / "local.settings.json"
EXAMPLE_FILE = ROOT / "local.settings.json.example"
MENDING = f"mend it, or delete it and let `make run` copy {EXAMPLE_FILE.name} again"


def values_of(path: Path) -> dict[str, str]:
    """The app settings of one file; StackError says in one line what keeps them from being read."""
    content = _object_in(path, missing=f"run `make {path.name}`", mending=MENDING)
    values = content.get("Values")
    if not isinstance(values, dict):
        raise StackError(f'{path.name} has no object "Values" with the app settings: {MENDING}')
    if content.get("IsEncrypted", True):
        raise StackError(
            f'{path.name} is encrypted, or does not say "IsEncrypted": false, '
            f"and nothing here can decrypt it: {MENDING}"
        )
    for name, value in values.items():
        if not isinstance(value, str):
            raise StackError(f'{path.name}: the value of "{name}" must be text in quotes: {MENDING}')
    return values


def require_host_json(script_root: Path) -> None:
    """Raise StackError if the app's host.json is no JSON object."""
    _object_in(script_root / "host.json", missing="it belongs beside function_app.py", mending="mend it")


def _object_in(path: Path, *, missing: str, mending: str) -> dict[str, Any]:
    try:
        # An editor may have put a byte order mark in front; the Functions host reads over it.
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StackError(f"{path.name} is missing: {missing}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{path.name} cannot be read ({error}): {mending}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise StackError(f"{path.name} is not valid JSON ({where}: {error.msg}): {mending}") from error
    if not isinstance(content, dict):
        raise StackError(f"{path.name} must hold one JSON object: {mending}")
    return content
