"""Irregular times are moved to a grid, or put together in steps, as asked."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.intervals import Interval
from forecaster.data.resampling import put_together, snapped, step_labels
from forecaster.data.tables import Table, read_table

EVENTS = pd.Timestamp("2024-01-10 05:00") + pd.to_timedelta(
    np.sort(np.random.default_rng(1).uniform(0, 200 * 86_400, 900)).round(), unit="s"
)
VALUES = np.random.default_rng(2).normal(size=(900, 2))
VALUES[::7, 1] = np.nan


def read(write, times: pd.DatetimeIndex, **columns: object) -> Table:
    rows = [f"{time:%Y-%m-%d %H:%M:%S},{i}" for i, time in enumerate(times)]
    return read_table(write("\n".join(["time,x", *rows]) + "\n"), Columns(**columns))


def values(table: Table) -> list[float]:
    (series,) = table.series
    return series.values[:, 0].tolist()


@pytest.mark.parametrize(
    "alias",
    ["h", "6h", "D", "W-SUN", "W-WED", "MS", "ME", "QE-DEC", "QS-JAN", "YE-DEC", "B", "BME"],
)
@pytest.mark.parametrize("how", ["mean", "sum", "first", "last", "min", "max", "median", "count"])
def test_steps_are_those_of_pandas(alias: str, how: str) -> None:
    steps = put_together(EVENTS, VALUES, how, Interval(alias))
    resampler = pd.DataFrame(VALUES, index=EVENTS).resample(alias)
    expected = resampler.sum(min_count=1) if how == "sum" else resampler.agg(how)
    used = expected[resampler.size() > 0]
    assert list(steps.times) == list(used.index)
    np.testing.assert_allclose(steps.values, used.to_numpy(), rtol=1e-12, atol=1e-12)
    labels = step_labels(EVENTS, Interval(alias))
    assert [EVENTS[row] for row in steps.first] == [EVENTS[labels == t][0] for t in steps.times]


def test_steps_of_centuries_do_not_overflow() -> None:
    times = pd.DatetimeIndex(["1690-01-01 05:00", "2240-06-01 23:00"])
    assert list(step_labels(times, Interval("D"))) == list(times.normalize())


@pytest.mark.parametrize("phase", ["0s", "150s", "300s", "450s"])
def test_jitter_is_taken_away_whatever_the_phase(phase: str) -> None:
    grid = pd.date_range("2024-03-01", periods=500, freq="10min") + pd.Timedelta(phase)
    late = pd.to_timedelta(np.random.default_rng(0).integers(-100, 101, 500), unit="s")
    moved, longest = snapped(grid + late, "10min")
    assert set(np.diff(moved)) == {np.timedelta64(600, "s")}
    assert longest <= pd.Timedelta("250s")
    assert abs((moved - grid).mean()) <= pd.Timedelta("150s")


def test_snapped_times_are_said(write) -> None:
    times = pd.DatetimeIndex(["2024-01-01 00:59:48", "2024-01-01 02:00:20", "2024-01-01 02:59:59"])
    table = read(write, times, snap="h")
    assert (table.interval.alias, table.series[0].first) == ("h", pd.Timestamp("2024-01-01 01:00"))
    assert "times moved to steps of h, by 20 s at most" in table.report.decisions


def test_sums_of_days_without_rows_are_missing_or_0(write) -> None:
    times = pd.DatetimeIndex(["2024-01-01 09:00", "2024-01-01 10:00", "2024-01-03 11:00"])
    filled = read(write, times, aggregate="sum", freq="D", on_gap="fill")
    assert values(filled)[::2] == [1, 2]
    assert np.isnan(values(filled)[1])
    table = read(write, times, aggregate="sum", freq="D", on_gap="zero")
    assert values(table) == [1, 0, 2]
    assert table.clock.date_only
    assert any("2 of 3" in said for said in table.report.decisions)
    assert any("taken as 0" in said for said in table.report.decisions)
    assert values(read(write, times, resample="D", aggregate="count", on_gap="zero")) == [2, 0, 1]


def test_rows_of_a_time_are_put_together_by_item(write) -> None:
    rows = [
        "2024-01-01,a,1",
        "2024-01-01,b,5",
        "2024-01-01,a,2",
        "2024-01-02,a,3",
        "2024-01-02,b,7",
    ]
    path = write("\n".join(["date,shop,x", *rows]) + "\n")
    table = read_table(path, Columns(item_id="shop", aggregate="sum"))
    assert {s.item_id: s.values[:, 0].tolist() for s in table.series} == {"a": [3, 3], "b": [5, 7]}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "America/New_York"])
def test_days_are_local(write, zone: str) -> None:
    hours = pd.date_range("2024-03-30", "2024-04-02 23:00", freq="h", tz=zone)
    texts = hours.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    path = write("\n".join(["time,x", *(f"{text},1" for text in texts)]) + "\n")
    table = read_table(path, Columns(timezone=zone, resample="D", aggregate="sum"))
    assert values(table) == hours.normalize().value_counts(sort=False).tolist()
    assert table.clock.write(table.interval.stamps(table.series[0].first, 2)) == [
        "2024-03-30",
        "2024-03-31",
    ]


def test_short_steps_begin_at_local_midnight(write) -> None:
    times = pd.date_range("2024-01-01", periods=24, freq="15min", tz="Asia/Kolkata")
    rows = [f"{time.isoformat()},{i}" for i, time in enumerate(times)]
    path = write("\n".join(["time,x", *rows]) + "\n")
    table = read_table(path, Columns(timezone="Asia/Kolkata", resample="h", aggregate="first"))
    assert values(table) == [0, 4, 8, 12, 16, 20]
    assert table.clock.write(table.interval.stamps(table.series[0].first, 1)) == [
        "2024-01-01 00:00:00+05:30"
    ]


HOLIDAYS = pd.DatetimeIndex(["2024-03-29", "2021-12-31", "2024-01-01", "2023-12-29", "2024-11-29"])


@pytest.mark.parametrize("alias", ["BME", "BMS", "BQE-DEC", "BYE-DEC", "W-FRI"])
def test_trading_days_close_to_the_end_of_a_period_are_taken_as_it(write, alias: str) -> None:
    days = pd.date_range("2010-01-01", periods=60, freq=alias)
    moved = list(days)
    earlier = pd.offsets.BDay(1 if alias == "BMS" else -1)
    for row in (3, 17, 30, 59):
        moved[row] = days[row] + earlier
    table = read(write, pd.DatetimeIndex(moved))
    assert table.interval.alias == alias
    assert list(table.interval.stamps(table.series[0].first, 60)) == list(days)
    assert values(table) == list(range(60))
    assert any(f"4 time(s) taken as those of {alias}" in said for said in table.report.decisions)


def test_a_day_of_each_month_is_what_is_asked_for(write) -> None:
    days = pd.DatetimeIndex([pd.Timestamp(2020, month, 10 + month % 5) for month in range(1, 13)])
    for alias in ("MS", "ME"):
        table = read(write, days, freq=alias)
        assert list(table.interval.stamps(table.series[0].first, 12)) == list(
            pd.date_range("2020-01-01", periods=12, freq=alias)
        )
        assert values(table) == list(range(12))


def test_four_weeks_are_no_month(write) -> None:
    days = pd.date_range("2020-01-06", periods=30, freq="28D")
    assert read(write, days).interval.alias == "28D"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_days_of_another_zone(write, zone: str) -> None:
    """Midnights of a zone, as seconds since 1970, are days there."""
    midnights = pd.date_range("2024-02-20", periods=80, tz=zone)
    rows = [f"{int(time.timestamp())},{i}" for i, time in enumerate(midnights)]
    path = write("\n".join(["timestamp,x", *rows]) + "\n")
    table = read_table(path, Columns(timezone=zone))
    assert (table.interval.alias, values(table)) == ("D", list(range(80)))
    assert table.series[0].first == pd.Timestamp("2024-02-20")
