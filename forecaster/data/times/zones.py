"""Time zones: the names of their offsets, and those that times fit."""

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.cells import Column
from forecaster.errors import UserError


def check_zone(timezone: str | None) -> None:
    """Raise UserError for a zone that Python or pandas does not know."""
    if timezone is not None:
        try:
            ZoneInfo(timezone)
            pd.Timestamp(0).tz_localize(timezone)  # pandas knows fewer names
        except (ZoneInfoNotFoundError, KeyError, ValueError, OSError) as error:
            raise UserError(
                f"--timezone {timezone}: no such time zone; give a name like Europe/Berlin"
            ) from error


def typed_zone(column: Column) -> str | None:
    """The place whose zone a column of times has, if its data type names one."""
    name = str(column.tz) if isinstance(column, pd.DatetimeIndex) else ""
    if name.partition("/")[0] in {"UTC", "GMT", "Etc"}:
        return None
    try:
        check_zone(name)
    except UserError:  # none, of a fixed offset, or without a name
        return None
    return name


def names_in(timezone: str | None) -> dict[str, int]:
    """The names of a zone's offsets, such as CST and CDT, in minutes east of UTC."""
    if timezone is None:
        return {}
    check_zone(timezone)
    zone = ZoneInfo(timezone)
    days = [dt.datetime(2020, month, 1, 12, tzinfo=zone) for month in (1, 7)]
    return {str(day.tzname()): int(_minutes(day)) for day in days}


def _minutes(day: dt.datetime) -> float:
    offset = day.utcoffset()
    assert offset is not None
    return offset.total_seconds() / 60


# zones whose clocks change on different days or at different hours, the more common ones first
_CHANGING = (
    *("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "Australia/Sydney"),
    *("Pacific/Auckland", "America/Santiago", "America/Sao_Paulo", "Asia/Jerusalem"),
    *("Africa/Cairo", "Asia/Tehran", "America/Havana", "Atlantic/Azores", "Australia/Lord_Howe"),
)
_COMMON = (
    *("Europe/Berlin", "Europe/London", "Europe/Helsinki", "America/New_York", "America/Chicago"),
    *("America/Denver", "America/Los_Angeles", "Asia/Tokyo", "Asia/Shanghai", "Asia/Kolkata"),
    *("Australia/Sydney", "America/Sao_Paulo", "Europe/Moscow", "Asia/Dubai", "Asia/Singapore"),
)


def zone_of_repeats(times: pd.DatetimeIndex) -> str | None:
    """A zone whose clock goes back at each of the ascending local times that occur twice."""
    repeated = times[times.duplicated(keep=False)]
    if not len(repeated) or repeated.value_counts().max() > 2:
        return None
    for zone in _CHANGING:
        twice = repeated.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()
        if bool(np.all(twice)) and not _skipped(times, zone).any():
            return zone
    return None


def zone_of_gap(times: pd.DatetimeIndex, first: int) -> str | None:
    """A zone whose clock goes forward in the gap after local time number ``first``."""
    before, after = times[first], times[first + 1]
    step = pd.Timedelta(int(np.median(np.diff(times.to_numpy(np.int64)))))
    missing = pd.date_range(before + step, after - step, freq=step)
    if step >= pd.Timedelta(days=1) or not len(missing):
        return None
    for zone in _CHANGING:
        if _skipped(missing, zone).all() and not _skipped(times, zone).any():
            return zone
    return None


def _skipped(times: pd.DatetimeIndex, zone: str) -> NDArray[np.bool_]:
    """Which local times the zone's clock leaves out."""
    earlier = np.ones(len(times), bool)
    return np.asarray(times.tz_localize(zone, ambiguous=earlier, nonexistent="NaT").isna())


def zone_of_midnights(times: pd.DatetimeIndex) -> str | None:
    """A zone in which these times in UTC are all midnight."""
    for zone in _COMMON:
        local = times.tz_localize("UTC").tz_convert(zone)
        if (local == local.normalize()).all():
            return zone
    return None
