"""What rows, filters and URLs look like on the way to Azure Tables."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import pytest

from adapters.table_values import decoded, encoded, literal, row_path

NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written", "kind"),
    [
        ("it's ä", "it's ä", None),
        ("", "", None),
        (True, True, None),
        (2**31 - 1, 2**31 - 1, None),
        (-(2**31) - 1, "-2147483649", "Edm.Int64"),
        (1.0, 1.0, "Edm.Double"),
        (float("-inf"), "-Infinity", "Edm.Double"),
        (b"\x00\xff", "AP8=", "Edm.Binary"),
        (NOON, "2026-01-01T12:00:00.123456Z", "Edm.DateTime"),
        (
            datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1))),
            "2026-01-01T12:00:00Z",
            "Edm.DateTime",
        ),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001", "Edm.Guid"),
    ],
)
def test_a_value_is_written_with_its_type_and_read_as_it_was(
    value: Any, written: Any, kind: str | None
) -> None:
    row = msgspec.json.decode(encoded({"column": value}))
    assert (row["column"], row.get("column@odata.type")) == (written, kind)
    assert decoded(row).columns == {"column": value}


def test_a_double_that_is_no_number_comes_back_as_such() -> None:
    read = decoded(msgspec.json.decode(encoded({"column": float("nan")}))).columns["column"]
    assert read != read  # noqa: PLR0124  # NaN alone is not itself


def test_a_column_without_a_value_is_not_written() -> None:
    assert encoded({"a": None, "b": 1}) == b'{"b":1}'


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), ["a"], {"a": 1}])
def test_what_a_table_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encoded({"column": value})


def test_an_instant_of_seven_digits_is_read_and_what_the_service_adds_is_not_a_column() -> None:
    row = decoded(
        {
            "odata.metadata": "https://shop.table.core.windows.net/$metadata#orders/@Element",
            "odata.etag": 'W/"1"',
            "PartitionKey": "p",
            "Timestamp": "2026-01-01T12:00:00.1234567Z",
            "Timestamp@odata.type": "Edm.DateTime",
            "at": "2026-01-01T12:00:00.1234567Z",
            "at@odata.type": "Edm.DateTime",
            "mark": "m",
        }
    )
    assert row.columns == {"PartitionKey": "p", "at": NOON}
    assert row.mark == "m"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("x' or true or 'x", "'x'' or true or ''x'"),
        (False, "false"),
        (7, "7"),
        (2**40, "1099511627776L"),
        (NOON, "datetime'2026-01-01T12:00:00.123456Z'"),
    ],
)
def test_a_value_stays_a_value_in_a_filter(value: str | bool | int | datetime, written: str) -> None:
    assert literal(value) == written


def test_keys_are_quoted_and_encoded_in_the_path() -> None:
    assert row_path("orders", "a/b?c#d%", "it's ä") == (
        "/orders(PartitionKey='a%2Fb%3Fc%23d%25',RowKey='it''s%20%C3%A4')"
    )
