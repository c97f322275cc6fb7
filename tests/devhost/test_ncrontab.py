"""NCRONTAB expressions, to the letter."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.timer.ncrontab import parse_ncrontab
from devhost.timer.schedule import Interval, is_frequent, parse_schedule
from devhost.timespan import parse_timespan

START = datetime(2026, 1, 1, tzinfo=UTC)  # a Thursday


@pytest.mark.parametrize(
    ("expression", "following"),
    [
        ("0 */5 * * * *", "2026-01-01T00:05:00"),
        ("*/5 * * * *", "2026-01-01T00:05:00"),
        ("30 0 0 1 1 *", "2026-01-01T00:00:30"),
        ("0 0 0 1 1 *", "2027-01-01T00:00:00"),
        ("0 30 9 * * Mon-Fri", "2026-01-01T09:30:00"),
        ("0 30 9 * * 6", "2026-01-03T09:30:00"),
        ("0 30 9 * * sun", "2026-01-04T09:30:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 0 29 2 1", "2044-02-29T00:00:00"),
        ("0 0 0 13 * FRIDAY", "2026-02-13T00:00:00"),
        ("0 0 0 * feb *", "2026-02-01T00:00:00"),
        ("0 50/5 * * * *", "2026-01-01T00:50:00"),
        ("0 10-20/7 * * * *", "2026-01-01T00:10:00"),
        ("0 20-10 * * * *", "2026-01-01T00:10:00"),
        ("1,3 0 0 * * *", "2026-01-01T00:00:01"),
    ],
)
def test_the_next_moment_is_the_first_that_fits_every_field(expression: str, following: str) -> None:
    assert parse_ncrontab(expression).next_after(START) == datetime.fromisoformat(following).replace(
        tzinfo=UTC
    )


def test_a_range_with_a_step_and_an_open_step_stop_at_their_ends() -> None:
    assert sorted(parse_ncrontab("0 10-20/7 * * * *").minutes) == [10, 17]
    assert sorted(parse_ncrontab("0 50/5 * * * *").minutes) == [50, 55]
    assert sorted(parse_ncrontab("0 * * * * Mon,Wed-Fri").weekdays) == [1, 3, 4, 5]


def test_a_day_that_never_comes_has_no_next_moment() -> None:
    assert parse_ncrontab("0 0 0 30 2 *").next_after(START) is None


@pytest.mark.parametrize(
    "expression",
    ["", "* * * *", "* * * * * * *", "60 * * * * *", "0 0 24 * * *", "0 0 0 * * 7", "0 0 0 L * *",
     "0 0 0 ? * *", "0 */0 * * * *", "0 1- * * * *", "0 0 0 * * 1#2", "0 x * * * *", "0 -1 * * * *"],
)  # fmt: skip
def test_what_ncrontab_does_not_know_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_ncrontab(expression)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)),
    st.sampled_from(
        ["0 */5 * * * *", "15 10,40 3-9/2 * * *", "0 0 12 1,15 * *", "0 0 0 * 2,8 Sun", "* * 1 * * *"]
    ),
)
def test_a_next_moment_is_later_and_fits_and_none_between_fits(moment: datetime, expression: str) -> None:
    schedule = parse_ncrontab(expression)
    following = schedule.next_after(moment)
    assert following is not None
    assert following > moment
    assert schedule.next_after(following - timedelta(seconds=1)) == following
    middle = moment + (following - moment) / 2
    assert schedule.next_after(middle) == following


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:30:00", timedelta(minutes=30)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("24:00:00", timedelta(days=24)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("-00:00:01", timedelta(seconds=-1)),
        ("6", timedelta(days=6)),
    ],
)
def test_a_timespan_is_read_as_dotnet_reads_it(text: str, span: timedelta) -> None:
    assert parse_timespan(text) == span


@pytest.mark.parametrize("text", ["", "1:2:3:4:5", "00:60:00", "00:00:61", "soon"])
def test_what_is_no_timespan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a TimeSpan"):
        parse_timespan(text)


def test_a_schedule_is_ncrontab_or_else_an_interval() -> None:
    assert parse_schedule("00:30:00") == Interval(timedelta(minutes=30))
    assert parse_schedule("0 0 * * * *").next_after(START) == START + timedelta(hours=1)
    with pytest.raises(ValueError, match="was not recognized as a valid cron expression or timespan string"):
        parse_schedule("every day")


def test_a_schedule_of_more_than_one_run_a_minute_is_frequent() -> None:
    assert is_frequent(parse_schedule("*/30 * * * * *"), START)
    assert not is_frequent(parse_schedule("0 * * * * *"), START)
