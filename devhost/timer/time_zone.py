"""The time zone of timer schedules, and what becomes of wall times at its changes of the clock."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal.windows_tz import win_tz

from devhost.app_settings import app_setting
from devhost.errors import HostStartError

TIME_ZONE_VARIABLE = "WEBSITE_TIME_ZONE"


def schedule_time_zone() -> tzinfo:
    """The zone that WEBSITE_TIME_ZONE names, by IANA's name or Windows's; without it UTC, as on Azure.

    The machine's own zone and TZ are not looked at. Raises HostStartError when there is no such zone.
    """
    given = (app_setting(TIME_ZONE_VARIABLE) or "").strip()
    if not given or given.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(win_tz.get(given, given))
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ):  # a path or a directory is no zone either
        raise HostStartError(
            f"{TIME_ZONE_VARIABLE} '{given}' is not a time zone. "
            "Name it as in 'Europe/Berlin' or 'W. Europe Standard Time'."
        ) from None


def is_ambiguous(wall: datetime, zone: tzinfo) -> bool:
    """Whether the clock shows a naive wall time twice, before it is set back and after."""
    return _offset(wall, zone, fold=0) > _offset(wall, zone, fold=1)


def from_wall(wall: datetime, zone: tzinfo) -> datetime:
    """The moment of a naive wall time of the zone, in UTC.

    One that the clock skips is moved on by what it skips; one that it shows twice is the second (.NET's
    DateTimeOffset does so).
    """
    fold = 1 if is_ambiguous(wall, zone) else 0
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def to_wall(moment: datetime, zone: tzinfo) -> datetime:
    """What the clock shows at a moment, as a naive time."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def offset_at(moment: datetime, zone: tzinfo) -> timedelta:
    """How far the zone's clock is ahead of UTC at a moment."""
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _offset(wall: datetime, zone: tzinfo, *, fold: int) -> timedelta:
    return wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0)
