"""Rows that follow a file are read by the file's own rules."""

from pathlib import Path

import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.intervals import Interval
from forecaster.data.tables import read_table
from forecaster.errors import UserError


@pytest.mark.parametrize(
    ("alias", "first"),
    [
        ("15min", "2024-03-01 00:07"),
        ("D", "2024-02-27"),
        ("B", "2024-02-28 06:00"),
        ("W-TUE", "2024-01-02"),
        ("MS", "2024-01-15"),
        ("ME", "2024-01-31"),
        ("QE-DEC", "2023-12-31"),
        ("2ME", "2024-01-31"),
        ("YS-JAN", "2024-01-01"),
    ],
)
def test_the_next_time_is_that_of_the_grid(alias: str, first: str) -> None:
    interval, start = Interval(alias), pd.Timestamp(first)
    grid = interval.stamps(start, 12)
    assert [interval.after(start, stamp) for stamp in grid[:-1]] == list(grid[1:])


def test_marks_times_and_items_are_the_files(write) -> None:
    lines = [
        f"{day:02d}/01/2024 06:00;{shop};{day},5" for shop in ("zoo", "ark") for day in range(1, 21)
    ]
    table = read_table(write("Tag;Laden;Umsatz\n" + "\n".join(lines) + "\n"), Columns())
    assert table.rows is not None
    assert table.rows.parse("Tag;Laden;Umsatz", 1, "input") is None
    assert table.rows.parse("   ", 5, "input") is None
    # 02/03 is the second of March, as the file's 20/01 is a day and a month
    row = table.rows.parse("02/03/2024 06:00;ark;7,25\n", 3, "input")
    assert (row.where, row.item, row.wall, row.values.tolist()) == (
        "input, line 3",
        "ark",
        pd.Timestamp("2024-03-02 06:00"),
        [7.25],
    )
    assert pd.isna(table.rows.parse("02/03/2024 06:00;ark;-", 3, "input").values[0])
    for line, message in (
        ("02/03/2024;ark;1", "line 4, column 'Tag': '02/03/2024' is not written as"),
        ("2024-03-02 06:00;ark;1", "is not a time written as %d/%m/%Y"),
        (";ark;1", "the time is missing"),
        ("02/03/2024 06:00;ark;inf", "an infinite value"),
    ):
        with pytest.raises(UserError, match=message):
            table.rows.parse(line, 4, "input")


def test_an_ambiguous_hour_is_resolved_by_what_is_expected(write) -> None:
    local = pd.date_range("2024-10-26 00:00", periods=27, freq="h")
    path: Path = write(
        "t,x\n" + "\n".join(f"{stamp:%Y-%m-%d %H:%M},{i}" for i, stamp in enumerate(local)) + "\n"
    )
    clock = read_table(path, Columns(timezone="Europe/Berlin")).clock
    twice, summer, winter = (
        pd.Timestamp("2024-10-27 02:00"),
        pd.Timestamp("2024-10-27 00:00"),
        pd.Timestamp("2024-10-27 01:00"),
    )
    assert clock.read(twice, None, summer) == summer
    assert clock.read(twice, None, winter) == winter
    assert clock.read(twice, 60, summer) == winter
    assert clock.read(pd.Timestamp("2024-03-31 02:30"), None, summer) is None
