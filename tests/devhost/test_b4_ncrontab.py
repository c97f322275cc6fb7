"""NCRONTAB expressions, to the letter: which fields are read how, and which moment comes next."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.timer.ncrontab import parse_ncrontab

START = datetime(2026, 1, 1)  # a Thursday


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
        ("0 0 0 31 * *", "2026-01-31T00:00:00"),
        ("0 0 0 31 4,5 *", "2026-05-31T00:00:00"),
        ("0 0 0 13 * FRIDAY", "2026-02-13T00:00:00"),
        ("0 0 0 * feb *", "2026-02-01T00:00:00"),
        ("0 50/5 * * * *", "2026-01-01T00:50:00"),
        ("0 10-20/7 * * * *", "2026-01-01T00:10:00"),
        ("0 20-10 * * * *", "2026-01-01T00:10:00"),
        ("1,3 0 0 * * *", "2026-01-01T00:00:01"),
        ("59 59 23 31 12 *", "2026-12-31T23:59:59"),
        ("  0   0 12 * * *  ", "2026-01-01T12:00:00"),
    ],
)
def test_the_next_moment_is_the_first_that_fits_every_field(expression: str, following: str) -> None:
    assert parse_ncrontab(expression).next_after(START) == datetime.fromisoformat(following)


def test_a_moment_on_the_schedule_is_not_its_own_next_and_its_fraction_does_not_matter() -> None:
    every_minute = parse_ncrontab("* * * * *")
    assert every_minute.next_after(START) == START + timedelta(minutes=1)
    assert every_minute.next_after(START + timedelta(microseconds=1)) == START + timedelta(minutes=1)
    assert every_minute.next_after(START - timedelta(microseconds=1)) == START


@pytest.mark.parametrize(
    ("minutes", "values"),
    [
        ("*/20", [0, 20, 40]),
        ("10-20/7", [10, 17]),
        ("20-10/7", [10, 17]),
        ("50/5", [50, 55]),
        ("5-5", [5]),
        ("1,3,2,3", [1, 2, 3]),
        ("1-3,50/4", [1, 2, 3, 50, 54, 58]),
        ("5/100", [5]),
        ("007", [7]),
    ],
)
def test_lists_ranges_and_steps(minutes: str, values: list[int]) -> None:
    assert sorted(parse_ncrontab(f"0 {minutes} * * * *").minutes) == values


@pytest.mark.derived
@pytest.mark.parametrize("step", ["0", "-3", "1", "+1"])
def test_a_step_below_one_counts_as_one(step: str) -> None:
    assert parse_ncrontab(f"0 */{step} * * * *").minutes == frozenset(range(60))


def test_names_are_any_beginnings_of_the_english_ones_in_any_case() -> None:
    assert sorted(parse_ncrontab("0 * * * * Mon,Wed-fRi").weekdays) == [1, 3, 4, 5]
    assert sorted(parse_ncrontab("0 * * * * s").weekdays) == [0]  # the first that begins so: Sunday
    assert sorted(parse_ncrontab("0 * * * J,Decem,ma *").months) == [1, 3, 12]
    assert sorted(parse_ncrontab("0 * * * * Mon/2").weekdays) == [1, 3, 5]
    assert sorted(parse_ncrontab("0 * * * * Sat-Sun/3").weekdays) == [0, 3, 6]  # swapped: Sunday to Saturday


def test_a_day_that_never_comes_has_no_next_moment() -> None:
    assert parse_ncrontab("0 0 0 30 2 *").next_after(START) is None
    assert parse_ncrontab("0 0 0 31 4,6,9,11 *").next_after(START) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "It must contain 6 components of a schedule in the sequence of seconds, minutes, hours, days,"),
        ("* * * *", "'* * * *' is an invalid crontab expression."),
        ("* * * * * * *", "'* * * * * * *' is an invalid crontab expression."),
        ("60 * * * * *", "60 is higher than the maximum allowable value for the [Second] field. "
                         "Value must be between 0 and 59 (all inclusive)."),
        ("0 0 24 * * *", "24 is higher than the maximum allowable value for the [Hour] field."),
        ("0 0 0 0 * *", "0 is lower than the minimum allowable value for the [Day] field."),
        ("0 0 0 * 0/2 *", "0 is lower than the minimum allowable value for the [Month] field."),
        ("0 0 0 * * 7", "7 is higher than the maximum allowable value for the [DayOfWeek] field."),
        ("0 0 0 * * Mon-7", "7 is higher than the maximum"),
        ("0 70/5 * * * *", "70 is higher than the maximum"),
        ("0 0 0 L * *", "'L' is not a valid [Day] crontab field value. "
                        "It must be a numeric value between 1 and 31 (all inclusive)."),
        ("0 0 0 ? * *", "'?' is not a valid [Day]"),
        ("0 0 0 15W * *", "'15W' is not a valid [Day] crontab field expression."),
        ("0 0 0 * * 1#2", "'1#2' is not a valid [DayOfWeek] crontab field expression."),
        ("0 0 0 * * Mondays", "'Mondays' is not a known value name. Use one of the following: Sunday,"),
        ("0 1- * * * *", "A crontab field value cannot be empty."),
        ("0 1, * * * *", "A crontab field value cannot be empty."),
        ("0 ,1 * * * *", "',1' is not a valid [Minute]"),
        ("0 -1 * * * *", "'-1' is not a valid [Minute]"),
        ("0 /5 * * * *", "'/5' is not a valid [Minute]"),
        ("0 */ * * * *", "'' is not a valid [Minute]"),
        ("0 */2/3 * * * *", "'2/3' is not a valid [Minute]"),
        ("0 1-2-3 * * * *", "'2-3' is not a valid [Minute]"),
        ("0 *-5 * * * *", "'*' is not a valid [Minute]"),
        ("0 ** * * * *", "'**' is not a valid [Minute]"),
        ("0 1.5 * * * *", "'1.5' is not a valid [Minute]"),
        ("0 99999999999999999999999 * * * *", "is not a valid [Minute]"),
        ("0 \u0661 * * * *", "'\u0661' is not a valid [Minute]"),
    ],
)  # fmt: skip
def test_what_ncrontab_does_not_know_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_ncrontab(expression)
    assert reason in str(refused.value)


FIELDS = st.tuples(
    st.sampled_from(["0", "30", "*/20", "*"]),
    st.sampled_from(["0", "*/7", "10,40", "55-5", "*"]),
    st.sampled_from(["0", "3-9/2", "23", "*"]),
    st.sampled_from(["*", "1,15", "31", "29"]),
    st.sampled_from(["*", "2,8", "Apr-Jun", "*/5"]),
    st.sampled_from(["*", "Sun", "Mon-Fri", "6"]),
)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)), FIELDS)
def test_a_next_moment_is_later_and_fits_and_none_between_fits(
    moment: datetime, fields: tuple[str, ...]
) -> None:
    cron = parse_ncrontab(" ".join(fields))
    following = cron.next_after(moment)
    if following is None:
        assert fields[3] == "31"  # in February and the like
        return
    assert following > moment
    assert following.second in cron.seconds and following.minute in cron.minutes
    assert following.hour in cron.hours and following.day in cron.days and following.month in cron.months
    assert following.isoweekday() % 7 in cron.weekdays
    assert cron.next_after(following - timedelta(seconds=1)) == following
    assert cron.next_after(moment + (following - moment) / 2) == following
