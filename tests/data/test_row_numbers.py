"""Row numbers are no series, whatever they are called."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.frames import read_source
from forecaster.data.layout.row_numbers import numbers_rows
from forecaster.data.tables import read_table

CASES = Path(__file__).parent / "intake"
DAYS = pd.date_range("2024-01-01", periods=20)
FIRST = pd.Timestamp("2024-01-01")


def one(count: int) -> np.ndarray:
    return np.zeros(count, np.int64)


def test_the_case_with_an_index() -> None:
    table = read_table(CASES / "index_columns.csv", Columns())
    assert table.names == ("a",)
    assert table.report.decisions[0] == "column 'Unnamed: 0' left out: numbers the rows"


@pytest.mark.parametrize(
    "name",
    [
        *("Unnamed: 0", "index", "No", "No.", "id", "Obs", "row", "rownames", "S.No", "Sl. No"),
        *("_id", "instant", "lfd. Nr", "", "OBJECTID", "RowNum", "#", "record_id"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_row_numbers_are_left_out_wherever_they_stand(write, name: str, place: int) -> None:
    heads, rows = ["date", "a"], [[f"{day:%Y-%m-%d}", str(i % 7)] for i, day in enumerate(DAYS)]
    heads.insert(place, name)
    for i, row in enumerate(rows):
        row.insert(place, str(i + 1))
    text = "\n".join(",".join(row) for row in [heads, *rows]) + "\n"
    table = read_table(write(text), Columns())
    assert table.names == ("a",)
    assert table.series[0].first == FIRST
    asked = read_table(write(text), Columns(target=(name or f"Unnamed: {place}",)))
    assert asked.series[0].values[:, 0].tolist() == list(range(1, 21))


def test_any_column_before_the_others_that_counts_is_a_row_number(write) -> None:
    rows = [f"{i},{day:%Y-%m-%d},{i * i}" for i, day in enumerate(DAYS)]
    assert read_table(write("nth,date,a\n" + "\n".join(rows)), Columns()).names == ("a",)
    later = [f"{day:%Y-%m-%d},{i * i},{i}" for i, day in enumerate(DAYS)]
    assert read_table(write("date,a,nth\n" + "\n".join(later)), Columns()).names == ("a", "nth")


def test_numbers_that_begin_again_with_every_item_are_left_out(write) -> None:
    rows = [
        f"{i + 1},{item},{day:%Y-%m-%d},{i % 5}"
        for item in ("x", "y")
        for i, day in enumerate(DAYS)
    ]
    table = read_table(write("Obs,item,date,a\n" + "\n".join(rows)), Columns())
    assert table.names == ("a",)
    assert [series.item_id for series in table.series] == ["x", "y"]


def test_a_series_that_counts_is_kept_if_there_is_no_other(write) -> None:
    rows = [f"{day:%Y-%m-%d},{i}" for i, day in enumerate(DAYS)]
    assert read_table(write("date,No\n" + "\n".join(rows)), Columns()).names == ("No",)


def test_the_index_of_a_sorted_or_thinned_frame_is_left_out(tmp_path) -> None:
    frame = pd.DataFrame({"date": DAYS, "a": np.arange(20.0) % 3}).sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "data.csv")
    assert read_table(tmp_path / "data.csv", Columns()).names == ("a",)
    frame.to_parquet(tmp_path / "data.parquet")
    assert read_table(tmp_path / "data.parquet", Columns()).names == ("a",)
    assert read_table(read_source(frame), Columns()).names == ("a",)


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("index", [1, 2, 3, 4], True),
        ("index", [4, 3, 2, 1], True),
        ("index", [1, 2, 4, 5], False),
        ("index", [1, 1, 2, 3], False),
        ("index", [1.5, 2.5, 3.5, 4.5], False),
        ("index", [1, 2, np.nan, 4], False),
        ("Unnamed: 0", [7, 2, 9, 4], True),
        ("Unnamed: 0", [7, 2, 7, 4], False),
        ("sales", [1, 2, 3, 4], False),
        ("indexed", [1, 2, 3, 4], False),
    ],
)
def test_only_what_counts_is_a_row_number(name: str, values: list, expected: bool) -> None:
    assert numbers_rows(name, np.array(values, float), one(4), is_first=False) is expected


def test_items_may_be_mixed() -> None:
    items = np.array([0, 1, 0, 1, 0, 1])
    assert numbers_rows("No", np.array([1.0, 1, 2, 2, 3, 3]), items, is_first=False)
    assert not numbers_rows("No", np.array([1.0, 1, 2, 2, 3, 3]), one(6), is_first=False)
    assert numbers_rows("Unnamed: 0", np.array([1.0, 1, 5, 7, 3, 3]), items, is_first=False)


def test_a_column_that_equals_the_time_is_left_out(write) -> None:
    rows = [
        f"{day:%Y-%m-%d},{day:%d.%m.%Y},{day + pd.Timedelta(days=1):%Y-%m-%d},{day:%Y},{i % 4}"
        for i, day in enumerate(DAYS)
    ]
    table = read_table(write("start,also,end,year,a\n" + "\n".join(rows)), Columns())
    assert (table.names, table.series[0].first) == (("a",), FIRST)
    said = "column 'start' is the time; 'also', 'end', 'year' follow from it: left out"
    assert table.report.decisions[0] == said
    rows = [f"{day:%Y},{day:%Y-%m-%d},{i % 4}" for i, day in enumerate(DAYS)]
    assert read_table(write("year,day,a\n" + "\n".join(rows)), Columns()).series[0].first == FIRST


def test_numbers_beyond_int64_are_compared_as_they_are() -> None:
    items = np.zeros(3, np.int64)
    assert numbers_rows("Unnamed: 0", np.array([3e300, 1e300, 2e300]), items, is_first=True)
    assert not numbers_rows("Unnamed: 0", np.array([3e300, 1e300, 3e300]), items, is_first=True)
