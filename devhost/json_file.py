"""A settings file: one JSON object."""

import json
from pathlib import Path
from typing import Any

from devhost.errors import HostStartError


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object. Raises HostStartError with the reason."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HostStartError(f"{path.name} is missing in {path.parent}.") from None
    except OSError as error:
        raise HostStartError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise HostStartError(f"{path} is not valid JSON: {error}.") from None
    except RecursionError:
        raise HostStartError(f"{path} is nested too deeply.") from None
    if not isinstance(content, dict):
        raise HostStartError(f"{path} must hold one JSON object.")
    return content
