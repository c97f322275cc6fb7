"""host.json's `logging.logLevel`: which records of which category are logged."""

import contextvars
import logging
from collections.abc import Mapping

from devhost.errors import HostStartError
from devhost.host_json import HostJson

_LEVELS = {
    "trace": 1,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}
# The function whose code is running, for the category of what that code logs.
running_function: contextvars.ContextVar[str] = contextvars.ContextVar("running_function")


class LogLevels(logging.Filter):
    """Lets a record pass when its category's level allows it; the longest prefix of the category counts.

    Categories are those of the real host: `Function.<Name>` for the lines about a function's calls,
    `Function.<Name>.User` for what its own code logs, `Host` for the host's other lines.
    """

    def __init__(self, levels: Mapping[str, int]) -> None:
        super().__init__()
        self._default = levels.get("default", logging.INFO)
        self._levels = {category: level for category, level in levels.items() if category != "default"}
        self._known: dict[str, int] = {}

    @classmethod
    def read(cls, host_json: HostJson) -> "LogLevels":
        """Raises HostStartError when a level has no such name."""
        levels = {}
        for category, name in host_json.get_table("logging.logLevel").items():
            level = _LEVELS.get(name.lower()) if isinstance(name, str) else None
            if level is None:
                names = ", ".join(text.capitalize() for text in _LEVELS)
                raise HostStartError(
                    f"host.json: logging.logLevel.{category} must be one of {names}, not {name!r}."
                )
            levels[category.lower()] = level
        return cls(levels)

    @property
    def lowest(self) -> int:
        """Level below which no category wants a record."""
        return min([self._default, *self._levels.values()])

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        return hasattr(record, "without_time") or self.allows(record.levelno, category_of(record))

    def allows(self, level: int, category: str) -> bool:
        """Whether a line of a category, in lower case, is logged."""
        return level >= self._level(category)

    def _level(self, category: str) -> int:
        level = self._known.get(category)
        if level is None:
            prefixes = [known for known in self._levels if f"{category}.".startswith(f"{known}.")]
            level = self._levels[max(prefixes, key=len)] if prefixes else self._default
            self._known[category] = level
        return level


def category_of(record: logging.LogRecord) -> str:
    """Category of a record, in lower case."""
    given = getattr(record, "category", None)
    if given is not None:
        return str(given).lower()
    if record.name == "devhost" or record.name.startswith("devhost."):
        return "host"
    name = running_function.get("")
    return f"function.{name}.user".lower() if name else record.name.lower()
