"""The verdict on a fault run can fail: each kind of broken promise is named."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from tests.faults.verdict import broken_promises


def told(arrived: int, when_ambiguous: WhenAmbiguous = "resend", **fields: Any) -> list[str]:
    record = DeliveryRecord(delivery_id="d-1", updated_at=datetime(2026, 1, 1, tzinfo=UTC), **fields)
    return broken_promises(["d-1"], {"d-1": record}, {"d-1": arrived}, when_ambiguous=when_ambiguous)


@pytest.mark.parametrize(
    ("arrived", "when_ambiguous", "fields"),
    [
        (1, "hold", {"state": "sent"}),
        (3, "resend", {"state": "sent", "ambiguities": 2}),
        (0, "hold", {"state": "ambiguous", "ambiguities": 1}),
        (1, "hold", {"state": "ambiguous", "ambiguities": 1}),
        (0, "hold", {"state": "failed"}),
        (1, "resend", {"state": "gone", "ambiguities": 1}),
    ],
)
def test_a_delivery_that_is_as_the_ledger_says_breaks_nothing(
    arrived: int, when_ambiguous: WhenAmbiguous, fields: dict[str, Any]
) -> None:
    assert told(arrived, when_ambiguous, **fields) == []


@pytest.mark.parametrize(
    ("arrived", "when_ambiguous", "fields", "broken"),
    [
        (0, "resend", {"state": "sent"}, "the ledger is wrong"),
        (1, "resend", {"state": "failed", "ambiguities": 1}, "the ledger is wrong"),
        (2, "resend", {"state": "sent"}, "more often than the ledger knows of"),
        (1, "resend", {"state": "gone"}, "more often than the ledger knows of"),
        (2, "hold", {"state": "sent", "ambiguities": 1}, "it was to be held"),
        (0, "resend", {"state": "accepted"}, "it has not ended"),
        (0, "resend", {"state": "sending"}, "it has not ended"),
    ],
)
def test_each_broken_promise_is_named(
    arrived: int, when_ambiguous: WhenAmbiguous, fields: dict[str, Any], broken: str
) -> None:
    (named,) = told(arrived, when_ambiguous, **fields)
    assert named.startswith("d-1: ")
    assert broken in named


def test_a_delivery_that_is_not_in_the_ledger_is_lost() -> None:
    assert broken_promises(["d-1"], {}, {}, when_ambiguous="hold") == ["d-1: it is not in the ledger"]
