"""Where forecasts begin: at a time within the rows or after them, on any clock and interval."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.intervals import Interval
from forecaster.data.tables import Table, read_table
from forecaster.errors import UserError


def hours(write, rows: int, blank: int = 0, offset: str = ""):
    """An hourly file; the values are the rows' numbers, the last ``blank`` are missing."""
    stamps = pd.date_range("2024-03-30", periods=rows + blank, freq="h")
    cells = [*map(str, range(rows)), *[""] * blank]
    return write(
        "time,x\n" + "".join(f"{s}{offset},{c}\n" for s, c in zip(stamps, cells, strict=True))
    )


def begin(table: Table) -> str:
    """When the first series' forecast begins, as it is written."""
    series = table.series[0]
    return table.clock.write(table.interval.stamps(series.first, len(series.values) + 1))[-1]


def test_rows_from_the_start_on_are_no_history_and_blank_ones_before_it_are_missing(write) -> None:
    path = hours(write, 40, blank=10)
    within = read_table(path, Columns(), start="2024-03-30 20:00")
    assert within.series[0].values[:, 0].tolist() == list(range(20))
    assert within.report.decisions == [
        "forecasts begin at 2024-03-30 20:00:00 (--start), 30 row(s) from there on left out"
    ]
    after = read_table(path, Columns(), start="2024-03-31 20:00")
    np.testing.assert_array_equal(after.series[0].values[:, 0], [*range(40), *[np.nan] * 4])
    usual = read_table(path, Columns())
    assert begin(usual) == "2024-03-31 16:00:00"
    same = read_table(path, Columns(), start=begin(usual))
    np.testing.assert_array_equal(same.series[0].values, usual.series[0].values)


def test_rows_that_are_not_there_are_a_gap(write) -> None:
    path, start = hours(write, 40), "2024-03-31 18:00"
    with pytest.raises(UserError, match=r"2 row\(s\) missing between 2024-03-31 15:00:00 and"):
        read_table(path, Columns(), start=start)
    for on_gap, value, word in (("fill", np.nan, "missing values"), ("zero", 0.0, "0")):
        table = read_table(path, Columns(on_gap=on_gap), start=start)
        np.testing.assert_array_equal(table.series[0].values[:, 0], [*range(40), value, value])
        assert table.report.decisions == [
            "forecasts begin at 2024-03-31 18:00:00 (--start), 2 row(s) before it that are not "
            f"there taken as {word}"
        ]


def test_all_items_begin_at_one_time(write) -> None:
    days = pd.date_range("2024-01-01", periods=9).strftime("%Y-%m-%d")
    path = write(
        "item,day,x\n" + "".join(f"{i},{d},1\n" for i, n in (("a", 9), ("b", 5)) for d in days[:n])
    )
    table = read_table(path, Columns(on_gap="fill"), start="2024-01-08")
    assert [len(each.values) for each in table.series] == [7, 7]
    assert table.report.decisions == [
        "column 'item' names the series",
        "forecasts begin at 2024-01-08 (--start), 2 row(s) from there on left out, 2 row(s) before "
        "it that are not there taken as missing values",
    ]


@pytest.mark.parametrize(
    ("offset", "zone", "start", "expected"),
    [
        ("", None, "2024-03-30T05:00", "2024-03-30 05:00:00"),
        ("", None, "2024-03-30 05:00:01", "2024-03-30 06:00:00"),  # the next step
        ("", "Europe/Berlin", "2024-03-30 05:00", "2024-03-30 05:00:00+01:00"),
        ("", "Europe/Berlin", "2024-03-30 04:00Z", "2024-03-30 05:00:00+01:00"),
        ("+05:30", None, "2024-03-30 07:00", "2024-03-30 07:00:00+05:30"),
        ("Z", None, "2024-03-30 05:00+0200", "2024-03-30 03:00:00+00:00"),
    ],
)
def test_the_start_is_on_the_files_clock(write, offset, zone, start, expected) -> None:
    path = hours(write, 24, offset=offset)
    assert begin(read_table(path, Columns(timezone=zone), start=start)) == expected


@pytest.mark.parametrize(
    ("start", "rows"), [("2021", 12), ("2021-02", 13), ("2021-02-01", 13), ("2021-02-02", 14)]
)
def test_months_and_years_are_their_first_day(write, start: str, rows: int) -> None:
    months = pd.date_range("2020-01-01", periods=20, freq="MS").strftime("%Y-%m-%d")
    path = write("month,x\n" + "".join(f"{m},{i}\n" for i, m in enumerate(months)))
    assert len(read_table(path, Columns(), start=start).series[0].values) == rows


@pytest.mark.parametrize("alias", ["15min", "D", "B", "W-TUE", "MS", "ME", "QE-DEC", "YS-JAN"])
def test_steps_before_a_time_are_those_of_the_grid(alias: str) -> None:
    interval = Interval(alias)
    grid = interval.stamps(pd.Timestamp("2024-01-02") + interval.offset * 0, 30)
    first, minute = grid[0], pd.Timedelta(minutes=1)
    for number, stamp in enumerate(grid):
        assert interval.steps_before(first, stamp) == number
        assert interval.steps_before(first, stamp + minute) == number + 1
    assert interval.steps_before(first, first - minute) == 0


def test_series_that_begin_later_stop_no_others_where_short_ones_do_not(write) -> None:
    days = pd.date_range("2024-01-01", periods=20).strftime("%Y-%m-%d")
    rows = [
        f"{name},{day},1" for name, first in (("a", 0), ("b", 15), ("c", 4)) for day in days[first:]
    ]
    path = write("\n".join(["item,date,y", *rows, ""]))
    for policy in ("skip", "fallback", "drop", "pad"):
        table = read_table(path, Columns(on_short=policy), start="2024-01-16")
        assert {s.item_id: len(s.values) for s in table.series} == {"a": 15, "c": 11}
        [said] = [each for each in table.report.decisions if "(--start)" in each]
        assert said.endswith("without the series that begin later: 'b'")
        with pytest.raises(UserError, match=r"series .a.: begins at .* leaves no history"):
            read_table(path, Columns(on_short=policy), start="2024-01-01")
