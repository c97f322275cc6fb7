"""How fast we may send: windows and slots, whatever the arrivals."""

from datetime import datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agent.pacing import (
    BLOCK_LASTS,
    FURTHEST_AHEAD,
    USED_SHARE,
    SlidingWindows,
    TenantRate,
    first_free,
    first_row,
    reserve,
    slot_width,
)
from tests.unit.agent.stepped_loop import NOON

TEAMS = ((7, 1.0), (8, 2.0), (60, 30.0), (1800, 3600.0))
A_SECOND = timedelta(seconds=1)
limits = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30).map(float)), min_size=1, max_size=4)
pauses = st.lists(st.one_of(st.just(0.0), st.integers(0, 40).map(lambda tenths: tenths / 8)), max_size=40)


@given(limits=limits, pauses=pauses)
def test_no_window_ever_holds_more_than_it_may(limits: list[tuple[int, float]], pauses: list[float]) -> None:
    windows = SlidingWindows(tuple(limits))
    now, sent = 0.0, list[float]()
    for pause in pauses:
        now += pause
        now += windows.wait(now)
        assert windows.wait(now) == 0.0
        windows.count(now)
        sent.append(now)
    for sends, seconds in limits:
        for number, at in enumerate(sent):
            assert len([other for other in sent[number:] if other < at + seconds]) <= sends


@given(limits=limits, pauses=pauses)
def test_a_window_holds_nobody_up_who_need_not_wait(
    limits: list[tuple[int, float]], pauses: list[float]
) -> None:
    windows = SlidingWindows(tuple(limits))
    now, sent = 0.0, list[float]()
    for pause in pauses:
        now += pause
        wait = windows.wait(now)
        if wait:
            assert any(
                len([at for at in sent if at + seconds > now + wait - 0.001]) >= sends
                for sends, seconds in limits
            )
        now += wait
        windows.count(now)
        sent.append(now)


@given(limits=limits, pauses=pauses, ahead=st.integers(0, 30))
def test_who_is_further_back_is_never_told_too_long_a_wait(
    limits: list[tuple[int, float]], pauses: list[float], ahead: int
) -> None:
    windows = SlidingWindows(tuple(limits))
    now = 0.0
    for pause in pauses:
        now += pause + windows.wait(now + pause)
        windows.count(now)
    estimate, at = windows.wait(now, ahead=ahead), now
    for _ in range(ahead):
        at += windows.wait(at)
        windows.count(at)
    assert estimate <= at + windows.wait(at) - now + 1e-9


def test_a_window_keeps_no_more_than_its_largest_limit() -> None:
    windows = SlidingWindows(TEAMS)
    for second in range(10_000):
        windows.count(float(second))
    assert len(windows) == 1800


def test_a_clock_that_was_set_back_blocks_nobody() -> None:
    windows = SlidingWindows(((1, 10.0),))
    windows.count(5_000.0)
    assert windows.wait(1_000.0) == 0.0


@given(
    limit=st.integers(1, 50),
    asks=st.lists(
        st.tuples(st.integers(0, 3_000), st.integers(1, 20), st.integers(0, 9)), min_size=1, max_size=30
    ),
)
def test_no_second_holds_more_slots_than_the_limit_and_none_is_refused_that_is_free(
    limit: int, asks: list[tuple[int, int, int]]
) -> None:
    row, now = first_row("t", NOON, limit=limit), NOON
    slots: list[datetime] = []
    for pause, wanted, owed in asks:
        now += timedelta(milliseconds=pause)
        block = reserve(row, earliest=now, latest=now + 2 * A_SECOND, wanted=wanted, owed=owed, limit=limit)
        if block:
            assert now <= block.slots[0] <= now + 2 * A_SECOND
            assert block.slots[-1] - block.slots[0] <= BLOCK_LASTS
            assert len(block.slots) == min(wanted, max(1, BLOCK_LASTS // slot_width(limit)))
            row = block.row
            slots.extend(block.slots)
        else:
            assert first_free(row, now) > now + 2 * A_SECOND
    assert slots == sorted(slots)
    for number, slot in enumerate(slots):
        assert len([other for other in slots[number:] if other < slot + A_SECOND]) <= limit


def test_what_was_sent_without_a_slot_leaves_as_much_free() -> None:
    row = first_row("t", NOON, limit=30)
    block = reserve(row, earliest=NOON, latest=NOON + A_SECOND, wanted=2, owed=3, limit=30)
    assert block
    assert block.row.next_slot_at == NOON + 5 * slot_width(30)


def test_what_is_owed_is_never_so_much_that_it_looks_like_a_wrong_clock() -> None:
    row = first_row("t", NOON, limit=1)
    block = reserve(row, earliest=NOON, latest=NOON + A_SECOND, wanted=1, owed=99, limit=1)
    assert block
    assert first_free(block.row, NOON) == NOON + FURTHEST_AHEAD


def test_slots_that_went_by_are_lost() -> None:
    row = first_row("t", NOON, limit=30)
    assert first_free(row, NOON + 9 * A_SECOND) == NOON + 9 * A_SECOND


def test_a_row_that_a_wrong_clock_moved_is_not_waited_for() -> None:
    row = msgspec.structs.replace(first_row("t", NOON, limit=30), next_slot_at=NOON + FURTHEST_AHEAD)
    assert first_free(row, NOON) == NOON + FURTHEST_AHEAD
    assert first_free(row, NOON - A_SECOND) == NOON - A_SECOND


def test_the_rate_is_lowered_at_most_once_a_second_down_to_one_and_recovers_by_itself() -> None:
    row: TenantRate | None = first_row("t", NOON, limit=30)
    assert row
    row = row.lowered(NOON, limit=30)
    assert row and row.rate == 21
    assert row.lowered(NOON + A_SECOND / 2, limit=30) is None
    assert row.rate_at(NOON + 10 * A_SECOND, limit=30) == 23
    assert row.rate_at(NOON + 100 * A_SECOND, limit=30) == 30
    now = NOON
    for _ in range(40):
        now += A_SECOND
        lowered = row.lowered(now, limit=30)
        assert lowered
        row = lowered
    assert row.rate == 1
    assert slot_width(1) == A_SECOND / USED_SHARE


def test_a_smaller_setting_holds_at_once_and_a_larger_one_is_recovered_to() -> None:
    row = first_row("t", NOON, limit=30)
    assert row.rate_at(NOON, limit=10) == 10
    assert row.rate_at(NOON, limit=50) < 31
    assert row.rate_at(NOON + 200 * A_SECOND, limit=50) == 50
