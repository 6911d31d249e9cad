"""The trading days of exchanges, by exchange-calendars (an extra)."""

from functools import cache
from importlib.util import find_spec
from typing import Any

import pandas as pd
from pandas.tseries.offsets import BaseOffset

from forecaster.errors import UserError

_COMMON = ("XNYS", "XLON", "XETR", "XPAR", "XTKS", "XHKG", "XSHG", "XTSE", "XASX", "XSWX")


@cache
def trading_day(exchange: str) -> BaseOffset:
    """The step from one trading day to the next; raises UserError for an unknown exchange."""
    try:
        import exchange_calendars
        from exchange_calendars.errors import CalendarError
    except ImportError as error:
        raise UserError(
            f"--calendar-of {exchange}: needs a further package; install it with: pip install "
            "'exchange-calendars<4.12'"
        ) from error
    try:
        calendar: Any = exchange_calendars.get_calendar(exchange)
    except CalendarError as error:
        raise UserError(
            f"--calendar-of {exchange}: no such exchange; give its code, such as XNYS, XLON or XETR"
        ) from error
    return calendar.day


def exchange_of(days: pd.DatetimeIndex) -> str | None:
    """An exchange that was open on these ascending days and closed on all others between them."""
    if find_spec("exchange_calendars") is None:
        return None
    days = days.normalize()
    for exchange in _COMMON:
        if days.equals(pd.date_range(days[0], days[-1], freq=trading_day(exchange))):
            return exchange
    return None
