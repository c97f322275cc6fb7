"""What jobs ask, and who answered what, in memory and on Azure Tables (Azurite)."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from agent.approval import Approval, ApprovalEntry
from agent.ports import Approvals
from agent.proactive_message import ToUser

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_entry(**fields: object) -> ApprovalEntry:
    approval = Approval(
        question="Soll Заказ 'one' be paid?",
        facts={"Cost": "12 € a month", "Why": "it's needed"},
        put_to=ToUser(tenant_id="tenant", aad_object_id="user"),
        remind_after=timedelta(hours=5),
    )
    entry = ApprovalEntry(
        approval_id=f"{uuid4().hex}.approval.1",
        job_id="job-1",
        title="Request a software licence",
        approval=approval,
        asked_by="Alex",
        put_to_key="key",
        asked_at=NOON,
        expires_at=NOON + timedelta(days=3),
    )
    return msgspec.structs.replace(entry, **fields)


async def inserted(approvals: Approvals, **fields: object) -> ApprovalEntry:
    entry = await approvals.insert(an_entry(**fields))
    assert entry is not None
    return entry


async def found(approvals: Approvals, entry: ApprovalEntry) -> ApprovalEntry:
    kept = await approvals.find(entry.approval_id)
    assert kept is not None
    return kept


async def test_an_approval_is_found_as_it_was_asked(approvals: Approvals) -> None:
    for fields in ({}, {"approval": Approval(question="Sure?"), "asked_by": ""}):
        entry = await inserted(approvals, **fields)
        assert entry.version
        assert await found(approvals, entry) == entry


async def test_an_approval_is_asked_once(approvals: Approvals) -> None:
    entry = await inserted(approvals)
    assert await approvals.insert(msgspec.structs.replace(entry, title="another", version="")) is None
    assert await found(approvals, entry) == entry


async def test_of_many_who_ask_at_once_one_does(approvals: Approvals) -> None:
    entry = an_entry()
    asked = await asyncio.gather(*(approvals.insert(entry) for _ in range(8)))
    assert len([one for one in asked if one]) == 1


async def test_an_answer_is_kept(approvals: Approvals) -> None:
    entry = await inserted(approvals)
    answered = await approvals.answer(
        msgspec.structs.replace(
            entry,
            state="rejected",
            answered_at=NOON + timedelta(microseconds=1),
            answered_by="Megan",
            comment="no 'money' \U0001f600",
        )
    )
    assert answered is not None
    assert answered.version != entry.version
    assert await found(approvals, entry) == answered


async def test_of_many_answers_at_once_the_first_counts(approvals: Approvals) -> None:
    entry = await inserted(approvals)
    answers = [
        msgspec.structs.replace(entry, state="approved", answered_by=str(number)) for number in range(8)
    ]
    written = [one for one in await asyncio.gather(*(approvals.answer(one) for one in answers)) if one]
    assert len(written) == 1
    assert await found(approvals, entry) == written[0]
    assert await approvals.answer(answers[0]) is None


@pytest.mark.parametrize("approval_id", ["unknown", "it's", "' or state ne '"])
async def test_an_unknown_approval_is_not_found_and_not_answered(
    approvals: Approvals, approval_id: str
) -> None:
    assert await approvals.find(approval_id) is None
    never_asked = an_entry(approval_id=f"{uuid4().hex}{approval_id}", version="*")
    assert await approvals.answer(never_asked) is None


async def test_approvals_are_dropped_when_their_end_is_long_ago(approvals: Approvals) -> None:
    long_ago = NOON - timedelta(days=400)
    old = [
        await inserted(approvals, state=state, answered_at=long_ago)
        for state in ("approved", "rejected", "expired", "withdrawn")
    ]
    abandoned = await inserted(approvals, expires_at=long_ago)
    still_open = await inserted(approvals, asked_at=long_ago)
    answered = await inserted(approvals, state="approved", answered_at=NOON, expires_at=long_ago)
    assert await approvals.forget_before(long_ago + timedelta(seconds=1)) == 5
    assert [await approvals.find(entry.approval_id) for entry in (*old, abandoned)] == [None] * 5
    assert await found(approvals, still_open) == still_open
    assert await found(approvals, answered) == answered
