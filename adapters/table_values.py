"""How values go into Azure Tables and come out: in rows, in filters and in URLs."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import msgspec

PARTITION_KEY = "PartitionKey"
ROW_KEY = "RowKey"
MARK = "mark"  # a random column of each write, by which it knows itself again
TYPE = "@odata.type"
INT32 = range(-(2**31), 2**31)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it was read. ``columns`` holds its keys too, and no column that the service adds.

    ``etag`` is known of a row that was read by its keys: a query need not tell it.
    """

    columns: dict[str, Any]
    etag: str = ""
    mark: str = ""


def encoded(columns: Mapping[str, Any]) -> bytes:
    """The row as OData JSON. A column that is None is left out; naive datetimes are refused."""
    written: dict[str, Any] = {}
    for name, value in columns.items():
        kind, written_value = _typed(value)
        if kind:
            written[name + TYPE] = kind
        if written_value is not None:
            written[name] = written_value
    return msgspec.json.encode(written)


def _typed(value: Any) -> tuple[str, Any]:
    """The EDM type, where JSON does not tell it, and the value as JSON has it."""
    if value is None or isinstance(value, str | bool):
        return "", value
    if isinstance(value, int):
        return ("", value) if value in INT32 else ("Edm.Int64", str(value))
    if isinstance(value, datetime):
        return "Edm.DateTime", _instant(value)
    if isinstance(value, bytes):
        return "Edm.Binary", base64.b64encode(value).decode()
    if isinstance(value, float):
        # JSON has no NaN and no infinities; the service takes and gives them as text.
        is_finite = abs(value) < float("inf")
        return "Edm.Double", value if is_finite else {"nan": "NaN", "inf": "Infinity"}.get(
            str(value), "-Infinity"
        )
    if isinstance(value, UUID):
        return "Edm.Guid", str(value)
    raise TypeError(f"a table holds no {type(value).__name__}")


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise TypeError("a table holds instants: this datetime has no time zone")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


READERS: dict[str, Callable[[str], Any]] = {
    "Edm.DateTime": datetime.fromisoformat,  # cuts the seventh digit off
    "Edm.Binary": base64.b64decode,
    "Edm.Int64": int,
    "Edm.Double": float,
    "Edm.Guid": UUID,
}


def decoded(given: Mapping[str, Any]) -> Row:
    """A row from OData JSON with minimal metadata."""
    columns: dict[str, Any] = {}
    for name, value in given.items():
        if name.endswith(TYPE) or name.startswith("odata.") or name in ("Timestamp", MARK):
            continue
        reader = READERS.get(given.get(name + TYPE, ""))
        columns[name] = reader(value) if reader else value
    return Row(columns=columns, mark=given.get(MARK, ""))


def literal(value: str | bool | int | datetime) -> str:
    """The value as a filter has it; whatever it holds, it stays a value."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if value in INT32 else f"{value}L"
    if isinstance(value, datetime):
        return f"datetime'{_instant(value)}'"
    return "'" + value.replace("'", "''") + "'"


def row_path(table_name: str, partition_key: str, row_key: str) -> str:
    """The path of one row, as it is sent and signed."""
    partition, row = (quote(literal(key), safe="'") for key in (partition_key, row_key))
    return f"/{table_name}({PARTITION_KEY}={partition},{ROW_KEY}={row})"
