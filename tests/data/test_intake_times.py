"""Small files of shapes that are met in public ones, each with what it must give."""

from pathlib import Path

import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.tables import read_table
from forecaster.errors import UserError

CASES = Path(__file__).parent / "intake"


@pytest.mark.parametrize(
    ("name", "interval", "first", "rows"),
    [
        ("date_and_time", "6h", "2024-03-01", 56),
        ("monthly_mdy", "MS", "2015-01-01", 60),
        ("monthly_mdy_12rows", "MS", "2015-01-01", 12),
        ("yearly_0101", "YS-JAN", "1950-01-01", 50),
    ],
)
def test_cases_are_read(name: str, interval: str, first: str, rows: int) -> None:
    table = read_table(CASES / f"{name}.csv", Columns())
    (series,) = table.series
    assert (table.interval.alias, series.first) == (interval, pd.Timestamp(first))
    assert series.values.shape == (rows, 1)


def test_a_date_and_a_time_of_day_are_said() -> None:
    decisions = read_table(CASES / "date_and_time.csv", Columns()).report.decisions
    assert decisions[0] == "columns 'Date', 'Time' give the time together"


def test_years_before_1678_are_one_line() -> None:
    with pytest.raises(UserError, match="line 2, column 'year': '1677' is outside the years 1678"):
        read_table(CASES / "year_1677.csv", Columns())
