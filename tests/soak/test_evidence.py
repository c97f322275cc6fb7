"""What a soak run reads from the connector's calls and the jobs' journal, and what it plans."""

import json
from pathlib import Path
from typing import Any

import pytest

from testconnector.recording import Call
from tests.soak.plan import Plan, kills_of, turns_of
from tests.soak.soak_run import entered_in, part_of, said_in


def call(body: dict[str, Any], *, operation: str = "reply", was_taken: bool = True) -> Call:
    made = Call(number=1, at=5.0, method="POST", path="/v3/conversations/c/activities")
    made.operation, made.body, made.accepted, made.activity_id = operation, body, was_taken, "s1"
    made.status = 201 if was_taken else 403
    return made


def part(stream_type: str, text: str, *, stream_id: str | None = "s1", **how: Any) -> Call:
    info = {"type": "streaminfo", "streamType": stream_type, **({"streamId": stream_id} if stream_id else {})}
    return call({"type": "typing", "text": text, "entities": [info]}, **how)


CARD = {"attachments": [{"content": {"body": [{"type": "TextBlock", "text": "Soak n7 is taken on."}]}}]}


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (call({"text": "Soak n7 is taken on."}), [(7, "taken on")]),
        (call({"text": "<at>Alex</at> Soak n7 is done."}, operation="send"), [(7, "done")]),
        (call({"text": "Soak n7 broke."}), [(7, "broke")]),
        (call(CARD), [(7, "taken on")]),
        (call(CARD, operation="update"), []),
        (call({"text": "Soak n7 is done."}, was_taken=False), []),
        (call({"type": "typing"}), []),
        (part("informative", "Soak n7 is taken on.", stream_id=None), [(7, "taken on")]),
        (part("informative", "Soak n7 is taken on."), []),
        (part("streaming", "Soak n7 is done."), []),
        (part("final", "Soak n7 is done."), [(7, "done")]),
        # It is closed with what it showed, and the job goes on.
        (part("final", "Soak n7 is taken on.\n\nI am still at it."), []),
    ],
)
def test_a_message_says_of_a_turn_that_it_is_taken_on_done_or_broken(
    sent: Call, says: list[tuple[int, str]]
) -> None:
    assert [(said.number, said.says) for said in said_in(sent)] == says


def test_a_refused_part_of_a_stream_is_evidence_too() -> None:
    refused = part_of(part("final", "Soak n7 is done.", was_taken=False))
    assert refused is not None
    assert (refused.stream_id, refused.number, refused.was_taken, refused.answer) == ("s1", 7, False, "403")
    assert part_of(call({"text": "Soak n7 is done."})) is None


def test_the_journal_tells_which_handlers_were_left(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    lines = [
        {"jobId": "t1", "what": "begin", "event": event, "at": at, "pid": pid}
        for event, at, pid in (("entered", 1.0, 11), ("entered", 2.0, 12), ("left", 3.0, 12))
    ]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert {one.pid: one.left_at is not None for one in entered_in(journal)} == {11: False, 12: True}
    assert entered_in(tmp_path / "none") == []


def test_a_seed_gives_the_same_turns_and_kills_and_another_one_others() -> None:
    plan, other = (Plan(turns=60, kills=9, seed=seed, long_ones=3) for seed in (1, 2))
    assert (turns_of(plan), kills_of(plan)) == (turns_of(plan), kills_of(plan))
    assert turns_of(plan) != turns_of(other)
    assert kills_of(plan) != kills_of(other)
    assert len(kills_of(plan)) == 9
    assert sum(turn.seconds > plan.longest for turn in turns_of(plan)) == 3
