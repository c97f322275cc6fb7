"""The verdict on a crash run can fail: each rule is broken by made-up evidence, and that is named."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.crash.evidence import Evidence, Found, Kill, Load
from tests.crash.plan import KINDS, Plan, PlannedInstance, planned
from tests.crash.verdict import broken_promises

PLAN = Plan(instances=1, kills=1, seed=1)
KILL = Kill(after=1.0, was_up=True, load=Load(unfinished=3))


def of_kind(kind: str) -> PlannedInstance:
    return planned(KINDS.index(kind), PLAN)


ALL = [of_kind(kind) for kind in KINDS]
CHAIN, FAILS, FAMILY, ORDER = map(of_kind, ("chain", "fails", "family", "order"))


def found(one: PlannedInstance) -> Found:
    return Found(instance_id=one.instance_id, name=one.orchestrator, status=one.status, output=one.output)


def children(one: PlannedInstance) -> list[Found]:
    return [
        Found(
            instance_id=f"{one.instance_id}:{index}",
            name="child",
            status="Completed",
            output=1,
            parent_id=one.instance_id,
        )
        for index in range(one.children)
    ]


FOUND = [each for one in ALL for each in (found(one), *children(one))]
TOTALS: Counter[str] = sum((Counter(one.adds) for one in ALL), Counter())
GOOD = Evidence(
    started=ALL,
    found=FOUND,
    kills=[KILL],
    kills_wanted=1,
    notes=Counter({key: least for one in ALL for key, least in one.notes.items()} | {"child": 9}),
    messages=Counter([ORDER.instance_id]),
    totals=dict(TOTALS),
)


def instead(one: PlannedInstance, **changed: Any) -> list[Found]:
    return [replace(each, **changed) if each.instance_id == one.instance_id else each for each in FOUND]


def without(instance_id: str) -> list[Found]:
    return [each for each in FOUND if each.instance_id != instance_id]


def test_evidence_of_a_good_run_breaks_nothing() -> None:
    assert broken_promises(GOOD) == []
    again = replace(GOOD, notes=GOOD.notes + GOOD.notes, messages=GOOD.messages + GOOD.messages)
    assert broken_promises(again) == []  # at least once is what is promised


@pytest.mark.parametrize(
    ("seen", "broken"),
    [
        ({"kills": []}, "only 0 of 1 kills"),
        ({"kills": [replace(KILL, load=Load())]}, "only 0 of 1 kills"),
        ({"found": without(CHAIN.instance_id)}, f"{CHAIN.instance_id} is lost"),
        ({"found": instead(CHAIN, status="Running")}, "is stuck: Running"),
        ({"found": instead(CHAIN, status="Failed", output="why")}, "ended as Failed, not Completed: why"),
        ({"found": instead(CHAIN, output=-1)}, "returned -1"),
        ({"found": instead(CHAIN, name="fails")}, "is a fails, not a chain"),
        ({"found": instead(FAILS, output="something else")}, "failed with 'something else'"),
        ({"found": instead(FAILS, status="Completed")}, "ended as Completed, not Failed"),
        ({"found": [*FOUND, replace(found(CHAIN), instance_id="x")]}, "x was never started by a client"),
        ({"found": without(f"{FAMILY.instance_id}:0")}, "sub-orchestrations, not"),
        (
            {
                "found": [
                    replace(each, status="Running") if each.instance_id.endswith(":4") else each
                    for each in FOUND
                ]
            },
            "is Running",
        ),
        (
            {"found": [*FOUND, replace(children(FAMILY)[0], instance_id="y", parent_id="nobody")]},
            "there are sub-orchestrations of nobody",
        ),
        ({"notes": GOOD.notes - Counter([f"{CHAIN.instance_id}/0"])}, "/0 ran 0 times, not 1 or more"),
        ({"notes": GOOD.notes + Counter(["ghost"])}, "the activity ghost was never planned"),
        ({"totals": GOOD.totals | {"shared-0": -1}}, "the counter shared-0 stands at -1"),
        ({"totals": GOOD.totals | {"other": 1}}, "the counter other stands at 1, not at None"),
        ({"messages": Counter()}, f"the message of {ORDER.instance_id} was never taken"),
        ({"left_on_queue": 2}, "2 messages are left"),
        ({"poisoned": 1}, "1 messages are on the poison queue"),
        ({"integrity": "row 7 missing"}, "damaged: row 7 missing"),
        ({"orphans": ["timers: 3 of x"]}, "timers: 3 of x"),
        ({"exits": [1]}, "ended by itself with 1"),
        ({"complaints": ["sqlite3.OperationalError"]}, "sqlite3.OperationalError"),
    ],
)
def test_each_broken_promise_is_named(seen: dict[str, Any], broken: str) -> None:
    named = broken_promises(replace(GOOD, **seen))
    assert len(named) == 1, named
    assert broken in named[0]


def test_a_counter_that_is_not_there_is_named() -> None:
    missing = {key: total for key, total in GOOD.totals.items() if key != "shared-0"}
    assert any(
        "the counter shared-0 stands at None" in one for one in broken_promises(replace(GOOD, totals=missing))
    )


def test_a_plan_draws_the_same_for_the_same_seed_and_more_for_another() -> None:
    assert [planned(number, PLAN) for number in range(50)] == [planned(number, PLAN) for number in range(50)]
    assert planned(0, PLAN) != planned(0, replace(PLAN, seed=2))
