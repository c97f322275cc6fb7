"""The verdict on a soak run can fail: each rule is broken by a made-up record, and that is named."""

from dataclasses import replace
from typing import Any

import pytest

from tests.soak.record import Delivery, Entered, Kill, Part, Said, Sends, SoakRecord, Turn
from tests.soak.verdict import broken_promises

PID, OTHER_PID = 11, 12
DELIVERY = Delivery(began=100.0, ended=100.3, status=200)
CUT = Delivery(began=100.0, ended=101.0, status=None, was_cut=True)
AFTER_IT = Delivery(began=102.0, ended=108.0, status=200)
TURN = Turn(number=1, turn_key="t1", is_button=False, sent_at=100.0, deliveries=(DELIVERY,))
BUTTON = Turn(
    number=1,
    turn_key="t1",
    is_button=True,
    sent_at=100.0,
    deliveries=(replace(DELIVERY, body={"value": "Soak n1 is taken on."}),),
)
TAKEN_ON = Said(number=1, says="taken on", at=100.2)
DONE = Said(number=1, says="done", at=130.0)
SENT = Sends(delivery_id="t1.1", state="sent", has_ended=True)
BEGUN = Entered(job_id="t1", what="begin", at=100.1, pid=PID)
KILL = Kill(at=101.0, up_at=104.0, pid=PID, ran_the_hub=True)
GOOD = SoakRecord(
    turns=[TURN], said=[TAKEN_ON, DONE], entered=[BEGUN], ledger=[SENT], instances={"t1": "Completed"}
)


def part(at: float, stream_type: str = "informative", **fields: Any) -> Part:
    return Part(stream_id="s1", number=1, at=at, stream_type=stream_type, was_taken=True, **fields)


STREAM = [part(100.2), part(125.0), part(130.0, "final")]
LONG_STREAM = [part(float(at)) for at in range(100, 221, 30)]
DONE_AT_ONCE = replace(BUTTON, deliveries=(replace(DELIVERY, body={"value": "Soak n1 is done."}),))
PRESSED = {"turns": [BUTTON], "said": [DONE]}


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {"parts": STREAM},
        PRESSED,
        # The answer was ready in time, and is the turn's reply, or its response.
        {"said": [replace(DONE, at=103.0)]},
        {"turns": [DONE_AT_ONCE], "said": []},
        # What the ledger or the claim calls ambiguous may come twice.
        {"said": [TAKEN_ON, DONE, DONE], "ledger": [replace(SENT, ambiguities=1)]},
        {"said": [TAKEN_ON, TAKEN_ON, DONE], "turns": [replace(TURN, claim_ambiguities=1)]},
        # Killed in it: the next delivery has the channel's time.
        {
            "turns": [replace(TURN, deliveries=(CUT, replace(DELIVERY, began=102.0, ended=112.0)))],
            "said": [replace(TAKEN_ON, at=112.0), DONE],
        },
        # Who came while the killed one was alive may have waited for it in vain.
        {"turns": [replace(TURN, deliveries=(CUT, replace(DELIVERY, ended=110.0, status=503), DELIVERY))]},
        # Its process was killed, so it is begun again.
        {"entered": [BEGUN, replace(BEGUN, at=101.5, pid=OTHER_PID)], "kills": [KILL]},
        # Who held the stream was killed.
        {"ledger": [SENT, replace(SENT, delivery_id="t1.stream", state="expired")], "kills": [KILL]},
        # A kill came into the stream.
        {
            "parts": [part(100.2), part(150.0), part(150.5, "final")],
            "kills": [replace(KILL, at=148.0, up_at=150.2)],
        },
        {"parts": [part(100.2)], "kills": [KILL]},
    ],
)
def test_a_run_that_is_as_it_should_be_breaks_nothing(seen: dict[str, Any]) -> None:
    assert broken_promises(replace(GOOD, **seen)) == []


@pytest.mark.parametrize(
    ("seen", "broken"),
    [
        ({"said": [replace(TAKEN_ON, at=110.5), DONE]}, "its user was told 10.5 s after it; 0.5 s late"),
        (
            {
                "turns": [replace(TURN, deliveries=(CUT, replace(DELIVERY, began=102.0, ended=117.0)))],
                "said": [replace(TAKEN_ON, at=117.5), DONE],
            },
            "killed in it; 0.5 s late",
        ),
        (
            {
                "turns": [replace(BUTTON, deliveries=(replace(DELIVERY, ended=110.5, body=1),))],
                "said": [DONE],
            },
            "0.5 s late",
        ),
        (
            {"turns": [replace(TURN, deliveries=(DELIVERY, replace(DELIVERY, ended=115.5)))]},
            "answered 200 after 15.5 s",
        ),
        (
            {"turns": [replace(TURN, deliveries=(replace(CUT, was_cut=False), DELIVERY))]},
            "not answered, and no host was killed",
        ),
        (
            {"turns": [replace(TURN, deliveries=(DELIVERY, replace(DELIVERY, status=503)))]},
            "a delivery was answered 503 after 0.3 s",
        ),
        # It came after the kill, and had the time to take the turn over.
        (
            {
                "turns": [
                    replace(
                        TURN,
                        deliveries=(
                            CUT,
                            replace(AFTER_IT, status=503),
                            replace(DELIVERY, began=109.0, ended=109.3),
                        ),
                    )
                ]
            },
            "a delivery was answered 503 after 6.0 s",
        ),
        (
            {
                "turns": [replace(BUTTON, deliveries=(replace(DELIVERY, body=1), replace(DELIVERY, body=2)))],
                "said": [DONE],
            },
            "answered differently: 1 and 2",
        ),
        ({"said": [TAKEN_ON, TAKEN_ON, DONE]}, "acknowledged 2 times"),
        (PRESSED | {"said": [TAKEN_ON, DONE]}, "acknowledged 1 times, and the ledger knows of 0"),
        ({"said": [TAKEN_ON, DONE, DONE]}, "its result came 2 times"),
        ({"turns": [DONE_AT_ONCE], "said": [DONE]}, "its result came 1 times, and the ledger knows of 0"),
        ({"said": [TAKEN_ON]}, "its result never came"),
        ({"said": [TAKEN_ON, DONE, replace(DONE, says="broke")]}, "its job broke"),
        (
            {"said": [replace(DONE, at=101.0), replace(TAKEN_ON, at=102.0)]},
            "1.00 s before its acknowledgement",
        ),
        (
            {
                "turns": [replace(BUTTON, deliveries=(replace(DELIVERY, ended=105.0),))],
                "said": [replace(DONE, at=101.0)],
            },
            "4.00 s before its response",
        ),
        ({"instances": {}}, "there is no orchestration of it"),
        ({"instances": {"t1": "Failed"}}, "its orchestration is Failed"),
        ({"instances": {"t1": "Running"}}, "its orchestration is Running"),
        ({"instances": {"t1": "Completed", "t2": "Completed"}}, "t2 belongs to no turn"),
        ({"entered": [BEGUN, replace(BEGUN, at=101.5)]}, "told to begin again"),
        ({"entered": [BEGUN, replace(BEGUN, at=100.5)], "kills": [KILL]}, "told to begin again"),
        (
            {
                "entered": [replace(BEGUN, left_at=110.0), replace(BEGUN, at=120.5, pid=OTHER_PID)],
                "kills": [replace(KILL, at=120.0)],
            },
            "told to begin again",
        ),
        ({"running": ["t1"]}, "t1 still runs"),
        ({"ledger": [replace(SENT, state="busy", has_ended=False)]}, "is busy and has not ended"),
        ({"ledger": [replace(SENT, state="failed")]}, "ended as failed"),
        ({"ledger": [SENT, replace(SENT, delivery_id="t1.stream", state="expired")]}, "ended as expired"),
        ({"turns": [replace(TURN, claim_state="claimed")]}, "its claim is claimed"),
        ({"unread": 2}, "2 messages are left"),
        ({"parts": [part(100.2), part(101.0), part(130.0, "final")]}, "0.80 s after each other"),
        ({"parts": [part(100.2), part(141.0), part(143.0, "final")]}, "nothing came for 40.8 s"),
        ({"parts": [part(100.2), part(125.0)]}, "never closed"),
        ({"parts": [*LONG_STREAM, part(221.0, "final")]}, "lasted 121.0 s"),
        (
            {"parts": [*STREAM, replace(part(131.0), was_taken=False, answer="403 ContentStreamNotAllowed")]},
            "refused, 1.00 s after the one before: 403 ContentStreamNotAllowed",
        ),
        # The killed process did not hold the stream.
        (
            {"parts": [part(100.2)], "kills": [replace(KILL, ran_the_hub=False)]},
            "never closed",
        ),
    ],
)
def test_each_broken_rule_is_named(seen: dict[str, Any], broken: str) -> None:
    named = broken_promises(replace(GOOD, **seen))
    assert len(named) == 1, named
    assert broken in named[0]


def test_a_turn_of_which_its_user_was_told_nothing_is_named() -> None:
    assert "n1: its user was told nothing" in broken_promises(replace(GOOD, said=[]))


def test_a_turn_that_no_delivery_acknowledged_is_named() -> None:
    refused = replace(TURN, deliveries=(replace(DELIVERY, status=503),))
    assert "n1: it was never acknowledged: [503]" in broken_promises(replace(GOOD, turns=[refused]))
