"""Schedules on the clock of a zone: WEBSITE_TIME_ZONE, the hour that is skipped, and that comes twice."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from devhost.errors import HostStartError
from devhost.timer.schedule import coming, parse_schedule
from devhost.timer.schedule_status import ScheduleStatus
from devhost.timer.time_zone import TIME_ZONE_VARIABLE, from_wall, is_ambiguous, schedule_time_zone

PACIFIC = ZoneInfo("America/Los_Angeles")
BERLIN = ZoneInfo("Europe/Berlin")


def runs(expression: str, zone: tzinfo, start: str, count: int) -> list[str]:
    """The coming moments as the zone's clock shows them, with its offset in hours."""
    moments = coming(parse_schedule(expression, zone), datetime.fromisoformat(start), count)
    return [moment.astimezone(zone).strftime("%d %H:%M %z")[:-2] for moment in moments]


@pytest.mark.parametrize(
    ("given", "name"),
    [("Europe/Berlin", "Europe/Berlin"), ("W. Europe Standard Time", "Europe/Berlin"), ("Etc/UTC", "Etc/UTC"),
     ("Pacific Standard Time", "America/Los_Angeles"), ("", "UTC"), (" ", "UTC"), ("utc", "UTC")],
)  # fmt: skip
def test_a_zone_has_ianas_name_or_windowss(given: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIME_ZONE_VARIABLE, given)
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # not looked at
    assert str(schedule_time_zone()) == name


def test_without_a_zone_it_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TIME_ZONE_VARIABLE, raising=False)
    assert schedule_time_zone() is UTC


@pytest.mark.parametrize(
    "given", ["Nowhere Standard Time", "Europe", "../etc/passwd", "/etc/localtime", "a\0b"]
)
def test_what_is_no_zone_keeps_the_host_from_starting(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devhost.timer.time_zone.app_setting", lambda _: given)
    with pytest.raises(HostStartError, match=r"WEBSITE_TIME_ZONE '.*' is not a time zone"):
        schedule_time_zone()


def test_a_daily_schedule_keeps_to_the_clock_through_the_year() -> None:
    assert runs("0 30 23 * * *", BERLIN, "2026-03-28T23:00:00+01:00", 2) == ["28 23:30 +01", "29 23:30 +02"]
    assert runs("0 0 9 * * *", BERLIN, "2026-10-24T12:00:00+02:00", 1) == ["25 09:00 +01"]


@pytest.mark.derived
def test_in_the_hour_that_is_skipped_a_point_in_time_comes_an_hour_later() -> None:
    # 8 March 2026, 02:00 is 03:00 in Los Angeles.
    assert runs("0 30 2 * * *", PACIFIC, "2026-03-07T03:00:00-08:00", 2) == ["08 03:30 -07", "09 02:30 -07"]


@pytest.mark.derived
def test_an_interval_goes_on_over_the_hour_that_is_skipped() -> None:
    expected = ["08 01:30 -08", "08 03:00 -07", "08 03:30 -07", "08 04:00 -07"]
    assert runs("0 */30 * * * *", PACIFIC, "2026-03-08T01:10:00-08:00", 4) == expected


@pytest.mark.derived
def test_an_interval_goes_on_through_both_hours_that_look_alike() -> None:
    # 1 November 2026, 02:00 is 01:00 again.
    expected = ["01 01:00 -07", "01 01:30 -07", "01 01:00 -08", "01 01:30 -08", "01 02:00 -08"]
    assert runs("0 */30 * * * *", PACIFIC, "2026-11-01T00:45:00-07:00", 5) == expected


@pytest.mark.derived
def test_a_point_in_time_that_comes_twice_runs_the_first_time_only() -> None:
    expected = ["31 01:30 -07", "01 01:30 -07", "02 01:30 -08"]
    assert runs("0 30 1 * * *", PACIFIC, "2026-10-31T00:00:00-07:00", 3) == expected
    assert runs("0 0,30 1 * * *", PACIFIC, "2026-11-01T00:00:00-07:00", 3) == [
        "01 01:00 -07", "01 01:30 -07", "02 01:00 -08"]  # fmt: skip


@pytest.mark.derived
def test_a_host_that_starts_in_the_second_of_the_two_hours_takes_its_points_for_run() -> None:
    assert runs("0 30 1 * * *", PACIFIC, "2026-11-01T01:10:00-08:00", 1) == ["02 01:30 -08"]


def test_moments_of_the_clock_are_skipped_or_come_twice() -> None:
    assert is_ambiguous(datetime(2026, 11, 1, 1, 30), PACIFIC)
    assert not is_ambiguous(datetime(2026, 11, 1, 2, 0), PACIFIC)
    assert not is_ambiguous(datetime(2026, 3, 8, 2, 30), PACIFIC)
    assert from_wall(datetime(2026, 3, 8, 2, 30), PACIFIC) == datetime(2026, 3, 8, 10, 30, tzinfo=UTC)
    assert from_wall(datetime(2026, 11, 1, 1, 30), PACIFIC) == datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


@pytest.mark.derived
def test_a_constant_interval_is_that_long_whatever_the_clock_does() -> None:
    start = datetime(2026, 11, 1, 8, 30, tzinfo=UTC)  # 01:30, before it is set back
    following = parse_schedule("01:00:00", PACIFIC).next_after(start)
    assert following == start + timedelta(hours=1)


def test_a_status_shows_the_clock_of_the_zone() -> None:
    moment = datetime(2026, 7, 1, 10, tzinfo=UTC)
    status = ScheduleStatus(moment, moment + timedelta(days=180), moment)
    assert '"Last": "2026-07-01T12:00:00+02:00"' in status.to_json(BERLIN)
    assert '"Next": "2026-12-28T11:00:00+01:00"' in status.to_json(BERLIN)
    assert ScheduleStatus.from_json(status.to_json(BERLIN)) == status
