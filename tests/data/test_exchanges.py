"""The trading days of exchanges are a calendar of their own."""

import sys

import exchange_calendars
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data import exchanges
from forecaster.data.exchanges import exchange_of, trading_day
from forecaster.data.intervals import Interval
from forecaster.data.periods import kind_of, spans
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError


def sessions(exchange: str) -> pd.DatetimeIndex:
    calendar = exchange_calendars.get_calendar(exchange, start="2015-01-01", end="2024-12-31")
    return calendar.sessions


def read(write, days: pd.DatetimeIndex, **columns: str) -> Table:
    rows = [f"{day:%Y-%m-%d},{i}" for i, day in enumerate(days)]
    return read_table(write("\n".join(["date,x", *rows]) + "\n"), Columns(**columns))


@pytest.mark.parametrize("exchange", ["XNYS", "XLON", "XTKS"])
def test_the_grid_is_the_days_on_which_the_exchange_is_open(exchange: str) -> None:
    days, interval = sessions(exchange), Interval(f"exchange:{exchange}")
    assert list(interval.stamps(days[0], len(days))) == list(days)
    assert interval.positions(days[:300]).tolist() == list(range(300))
    closed = days.append(pd.DatetimeIndex(["2024-12-31"])).drop(days[5])
    assert interval.positions(closed.unique())[4:6].tolist() == [4, 6]
    assert interval.after(days[0], days[7]) == days[8]
    assert exchange_of(days) == exchange
    assert exchange_of(days.delete(100)) is None


def test_it_counts_as_business_days() -> None:
    interval = Interval("exchange:XNYS")
    assert (interval.period_alias, interval.season, kind_of(interval)) == ("B", 5, "B")
    assert spans(interval)["week"] == 5


def test_trading_days_are_asked_for(write) -> None:
    days = sessions("XNYS")[-200:]
    with pytest.raises(UserError, match="give --calendar-of XNYS, or --on-gap fill"):
        read(write, days)
    table = read(write, days, calendar_of="XNYS")
    assert (table.interval.alias, len(table.series[0].values)) == ("exchange:XNYS", 200)
    # after the last day of 2024 comes the second of January
    assert table.clock.write(table.interval.stamps(days[0], 201))[-1] == "2025-01-02"
    with pytest.raises(UserError, match="2024-07-04 00:00:00 is not on the grid of interval exch"):
        read(write, days.append(pd.DatetimeIndex(["2024-07-04"])).sort_values(), calendar_of="XNYS")


def test_unknown_exchanges_and_a_missing_package_are_one_line(monkeypatch) -> None:
    with pytest.raises(UserError, match="--calendar-of XXXX: no such exchange"):
        trading_day("XXXX")
    trading_day.cache_clear()
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    with pytest.raises(UserError, match=r"pip install .exchange-calendars<4\.12."):
        trading_day("XNYS")
    monkeypatch.setattr(exchanges, "find_spec", lambda name: None)
    assert exchange_of(pd.bdate_range("2024-01-01", periods=9)) is None
