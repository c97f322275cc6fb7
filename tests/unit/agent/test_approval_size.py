"""An approval fits its card and its row, whatever its definition puts into it."""

from datetime import UTC, datetime

import msgspec
import pytest

from adapters.table_jobs import LONGEST_COLUMN
from agent.approval import Approval, ApprovalEntry, approval_card
from agent.sizing import fitted

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("letter", ["a", '"', "\n", "\u4e16", "\U0001f600"])
def test_the_longest_approval_can_be_answered_and_kept(letter: str) -> None:
    long = letter * 5000
    approval = Approval(
        question=long,
        facts={f"{number}{long}": long for number in range(100)},
        if_rejected=long,
        if_expired=long,
    )
    entry = ApprovalEntry(
        approval_id="job-1.approval.1",
        job_id="job-1",
        title="Ask",
        approval=approval,
        asked_by="Alex",
        put_to_key="key",
        asked_at=NOW,
        expires_at=NOW,
    )
    card = approval_card(entry).to_activity()
    assert fitted(card, max_bytes=80_000) == [card]
    characters = len(msgspec.json.encode(approval).decode().encode("utf-16-le")) / 2
    assert characters <= LONGEST_COLUMN
