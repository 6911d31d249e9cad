"""Intervals found from times alone, and the grids they span."""

import numpy as np
import pandas as pd
import pytest

from forecaster.data.intervals import Interval, find_interval, parse_interval
from forecaster.errors import UserError

CASES = [
    ("s", "2020-01-01 00:00:07"),
    ("15min", "2020-01-01 00:07"),
    ("10min", "2020-01-01 00:10"),
    ("h", "2020-01-01 00:30"),
    ("6h", "2020-01-01 03:00"),
    ("D", "2020-01-01"),
    ("D", "2020-01-01 06:00"),
    ("2D", "2020-01-01"),
    ("B", "2020-01-01"),
    ("B", "2020-01-01 17:30"),
    ("W-MON", "2020-01-06"),
    ("W-SUN", "2020-01-05"),
    ("W-TUE", "2002-01-01"),
    ("ME", "2020-01-31"),
    ("MS", "2020-01-01"),
    ("BME", "2020-01-31"),
    ("QE-DEC", "2020-03-31"),
    ("QE-NOV", "2020-02-29"),
    ("QS-JAN", "2020-01-01"),
    ("QS-FEB", "2020-02-01"),
    ("YE-DEC", "2000-12-31"),
    ("YS-JAN", "2000-01-01"),
    ("YS-APR", "2000-04-01"),
    ("2ME", "2020-01-31"),
]


@pytest.mark.parametrize(("alias", "first"), CASES)
def test_interval_is_found_and_goes_on_rightly(alias: str, first: str) -> None:
    first_stamp = pd.Timestamp(first)
    shift = (
        first_stamp - first_stamp.normalize()
        if alias[-1].isupper() or "-" in alias
        else pd.Timedelta(0)
    )
    stamps = pd.date_range(first_stamp - shift, periods=40, freq=alias) + shift
    interval = find_interval([stamps[:30]])
    assert interval is not None
    assert list(interval.stamps(stamps[0], 40)) == list(stamps)
    assert interval.positions(stamps[:30]).tolist() == list(range(30))
    period = pd.Period(stamps[0], freq=interval.period_alias)
    assert interval.season >= 1
    assert all((period + i) == pd.Period(stamps[i], freq=interval.period_alias) for i in range(40))


def test_fifteenth_of_the_month() -> None:
    stamps = pd.date_range("2020-01-01", periods=20, freq="MS") + pd.Timedelta(days=14)
    interval = find_interval([stamps])
    assert interval is not None
    assert list(interval.stamps(stamps[0], 20)) == list(stamps)


@pytest.mark.parametrize(
    ("alias", "drop"), [("h", [5, 6]), ("ME", [3]), ("B", [4]), ("W-MON", [2, 7])]
)
def test_gaps_do_not_hide_the_interval(alias: str, drop: list[int]) -> None:
    stamps = pd.date_range("2021-03-01", periods=30, freq=alias)
    interval = find_interval([stamps.delete(drop)])
    assert interval is not None
    assert (
        interval.positions(stamps.delete(drop)).tolist() == np.delete(np.arange(30), drop).tolist()
    )


def test_times_off_the_grid_are_marked() -> None:
    stamps = pd.DatetimeIndex(
        ["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 01:20", "2020-01-01 03:00"]
    )
    assert parse_interval("h").positions(stamps).tolist() == [0, 1, -1, 3]
    dates = pd.DatetimeIndex(["2020-01-31", "2020-02-29", "2020-03-15"])
    assert parse_interval("M").positions(dates).tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("alias", "season"),
    [("15min", 96), ("h", 24), ("D", 7), ("B", 5), ("W-MON", 52), ("ME", 12), ("QS-JAN", 4)],
)
def test_seasons(alias: str, season: int) -> None:
    assert parse_interval(alias).season == season


@pytest.mark.parametrize("alias", ["fortnight", "-1h", "0D", ""])
def test_unknown_intervals_are_refused(alias: str) -> None:
    with pytest.raises(UserError, match="no such interval"):
        parse_interval(alias)


@pytest.mark.parametrize(
    ("alias", "days"), [("W-MON", 7), ("2W-SUN", 14), ("7D", 7), ("12h", 0.5), ("MS", None)]
)
def test_weeks_have_a_length_and_months_have_none(alias: str, days: float | None) -> None:
    expected = None if days is None else pd.Timedelta(days, unit="D")
    assert Interval(alias).length == expected


@pytest.mark.parametrize("alias", ["15min", "D", "B", "W-TUE", "MS", "QE-DEC"])
def test_a_single_time_is_that_of_the_grid(alias: str) -> None:
    interval, first = Interval(alias), pd.Timestamp("2024-01-31 06:00")
    grid = interval.stamps(first, 40)
    assert [interval.stamp(first, position) for position in (0, 7, 39)] == list(grid[[0, 7, 39]])


def test_weekends_between_two_series_make_no_business_days() -> None:
    """One ends on a Friday and the next one begins on a Monday: no step leaps a weekend."""
    week = pd.date_range("2024-01-01", periods=5)  # Monday to Friday
    found = find_interval([week, week + pd.Timedelta(days=7)])
    assert found is not None
    assert found.alias == "D"
    found = find_interval([week, week.append(week + pd.Timedelta(days=7))])
    assert found is not None
    assert found.alias == "B"
