"""local.settings.json and its example: read, and told in one line what is wrong with them."""

import json
from pathlib import Path

from local.functions_host import ROOT
from local.processes import StackError

SETTINGS_FILE = ROOT / "local.settings.json"
EXAMPLE_FILE = ROOT / "local.settings.json.example"
MENDING = f"mend it, or delete it and let `make run` copy {EXAMPLE_FILE.name} again"


def values_of(path: Path) -> dict[str, str]:
    """The app settings of one file; StackError says in one line what keeps them from being read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StackError(f"{path.name} is missing: run `make {path.name}`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"{path.name} cannot be read ({error}): {MENDING}") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise StackError(f"{path.name} is not valid JSON ({where}: {error.msg}): {MENDING}") from error
    values = content.get("Values") if isinstance(content, dict) else None
    if not isinstance(values, dict):
        raise StackError(f'{path.name} has no object "Values" with the app settings: {MENDING}')
    for name, value in values.items():
        if not isinstance(value, str):
            raise StackError(f'{path.name}: the value of "{name}" must be text in quotes: {MENDING}')
    return values
