"""What a schedule text is: NCRONTAB or else a TimeSpan; and what the status of a schedule becomes."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from devhost.timer.schedule import Interval, coming, is_frequent, parse_schedule
from devhost.timer.schedule_status import ScheduleStatus, taken_up
from devhost.timespan import parse_timespan

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:30:00", timedelta(minutes=30)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("24:00:00", timedelta(days=24)),
        ("25:10:05", timedelta(days=25, hours=10, minutes=5)),
        ("23:59:59", timedelta(hours=23, minutes=59, seconds=59)),
        ("12:30", timedelta(hours=12, minutes=30)),
        ("1.12:30", timedelta(days=1, hours=12, minutes=30)),
        ("6:12:14:45", timedelta(days=6, hours=12, minutes=14, seconds=45)),
        ("6:12:14:45.5", timedelta(days=6, hours=12, minutes=14, seconds=45.5)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("00:00:00.0000019", timedelta(microseconds=1)),
        ("-00:00:01", timedelta(seconds=-1)),
        ("  00:01:00 ", timedelta(minutes=1)),
        ("6", timedelta(days=6)),
    ],
)
def test_a_timespan_is_read_as_dotnet_reads_it(text: str, span: timedelta) -> None:
    assert parse_timespan(text) == span


@pytest.mark.parametrize(
    "text",
    ["", "1:2:3:4:5", "00:60:00", "00:00:61", "soon", "24:00", "24:00:00.5", "24:24:00", "1.24:00:00", "1.5",
     "12:30.5", "00:00:00.12345678", "+00:01:00", "0:0:0 0", "99999999", "1d", "\u0661"],
)  # fmt: skip
def test_what_is_no_timespan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a TimeSpan"):
        parse_timespan(text)


def test_a_schedule_is_ncrontab_or_else_an_interval() -> None:
    assert parse_schedule("00:30:00") == Interval(timedelta(minutes=30))
    assert parse_schedule("0 0 * * * *").next_after(START) == START + HOUR
    assert parse_schedule("24:00:00").next_after(START) == START + timedelta(days=24)


@pytest.mark.parametrize("text", ["every day", "", "00:00:00", "-00:05:00", "0 0 0 * * 7"])
def test_what_is_neither_is_refused_with_the_hosts_sentence(text: str) -> None:
    sentence = (
        f"The schedule expression '{text}' was not recognized as a valid cron expression or timespan string."
    )
    with pytest.raises(ValueError, match=r".") as refused:
        parse_schedule(text)
    assert str(refused.value).startswith(sentence)


def test_a_schedule_of_more_than_one_run_in_the_coming_minute_is_frequent() -> None:
    assert is_frequent(parse_schedule("*/30 * * * * *"), START)
    assert is_frequent(parse_schedule("0,20 5 * * * *"), START + timedelta(minutes=4, seconds=30))
    assert not is_frequent(parse_schedule("0,20 5 * * * *"), START)
    assert not is_frequent(parse_schedule("0 * * * * *"), START)
    assert is_frequent(parse_schedule("00:00:59"), START)
    assert not is_frequent(parse_schedule("00:01:00"), START)


def test_the_coming_moments_of_a_schedule() -> None:
    assert coming(parse_schedule("0 0 * * * *"), START, 2) == [START + HOUR, START + 2 * HOUR]
    assert coming(parse_schedule("0 0 0 30 2 *"), START, 5) == []
    assert len(coming(Interval(timedelta(days=1_000_000)), START, 5)) == 2  # the calendar ends in 9999


def test_a_status_is_json_with_local_times_and_survives_being_read_back() -> None:
    status = ScheduleStatus(None, START + HOUR, START + timedelta(milliseconds=1500))
    assert json.loads(status.to_json()) == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2026-01-01T01:00:00+00:00",
        "LastUpdated": "2026-01-01T00:00:01.5+00:00",
    }
    assert ScheduleStatus.from_json(status.to_json()) == status


def test_a_status_that_an_earlier_devhost_stored_is_read() -> None:
    stored = '{"Last": "0001-01-01T00:00:00.0000000Z", "Next": "2026-01-01T01:00:00.0000000Z", '
    stored += '"LastUpdated": "2026-01-01T00:00:00.0000000Z"}'
    assert ScheduleStatus.from_json(stored) == ScheduleStatus(None, START + HOUR, START)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Last": 1, "Next": 2, "LastUpdated": 3}', "null"])
def test_what_is_no_status_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ScheduleStatus.from_json(text)


def test_a_status_is_begun_kept_and_made_anew_for_a_changed_schedule() -> None:
    hourly, daily = parse_schedule("0 0 * * * *"), parse_schedule("0 0 12 * * *")
    first = taken_up(None, hourly, START)
    assert first == ScheduleStatus(None, START + HOUR, START)
    later = START + timedelta(minutes=90)
    assert taken_up(first, hourly, later) is first
    changed = taken_up(first, daily, later)
    assert changed == ScheduleStatus(None, START + 12 * HOUR, START)  # from what it was reckoned from


def test_what_a_changed_schedule_would_have_run_meanwhile_is_not_caught_up() -> None:
    hourly, often = parse_schedule("0 0 * * * *"), parse_schedule("0 */5 * * * *")
    now = START + timedelta(minutes=31)
    changed = taken_up(taken_up(None, hourly, START), often, now)
    assert changed == ScheduleStatus(None, START + timedelta(minutes=35), now)


def test_the_last_run_and_not_the_last_update_tells_whether_the_schedule_was_changed() -> None:
    hourly = parse_schedule("0 0 * * * *")
    stored = ScheduleStatus(START, START + HOUR, START + timedelta(minutes=59))
    assert taken_up(stored, hourly, START + 5 * HOUR) is stored
