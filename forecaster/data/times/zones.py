"""Time zones: the names of their offsets."""

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

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
