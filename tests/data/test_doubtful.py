"""Numbers that may not be what they seem: codes, constants, totals, and another scale."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.doubtful import codes_read, doubtful_values, other_scale
from forecaster.data.tables import Table, read_table

ROWS = 40


def wide(folder: Path, **columns: object) -> Table:
    """A table of daily columns."""
    days = pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d")
    pd.DataFrame({"day": days, **columns}).to_csv(folder / "wide.csv", index=False)
    return read_table(folder / "wide.csv", Columns(target=tuple(columns)))


def long(folder: Path, rows: dict[str, list[float]]) -> Table:
    """A table of daily series that all begin on one day."""
    parts = [
        pd.DataFrame(
            {"day": pd.date_range("2024-01-01", periods=len(values)), "shop": name, "sold": values}
        )
        for name, values in rows.items()
    ]
    pd.concat(parts).to_csv(folder / "long.csv", index=False)
    return read_table(folder / "long.csv", Columns(item_id="shop"))


def parts() -> list[np.ndarray]:
    return [20 + np.arange(ROWS) % 7, 15 + np.arange(ROWS) % 5]


def test_codes_are_told_beside_those_that_are_named(tmp_path: Path) -> None:
    values = np.where(np.arange(ROWS) % 9 == 4, 999.9, parts()[0])
    table = wide(tmp_path, wind=values, rain=parts()[1])
    assert doubtful_values(table, ("-1",)) == [
        "column 'wind': 999.9 (4 times) lies far off all other values; if that stands for missing "
        "values, give --missing -1,999.9"
    ]
    assert doubtful_values(wide(tmp_path, wind=parts()[0], rain=parts()[1]), None) == []


def test_codes_count_only_in_the_rows_that_are_read(tmp_path: Path) -> None:
    values = parts()[0].astype(float)
    values[[10, 20]] = -9999
    table = wide(tmp_path, x=values, y=parts()[1])
    assert codes_read(table, ROWS - 21, None) == []
    told = codes_read(table, ROWS - 20, None)
    assert len(told) == 1
    assert "-9999 (2 times)" in told[0]


def test_a_constant_column_is_told_with_the_option_that_leaves_it_out(tmp_path: Path) -> None:
    table = wide(tmp_path, station=np.full(ROWS, 54.0), x=parts()[0], y=parts()[1])
    assert doubtful_values(table, None) == [
        "'station': the same value in all rows, forecast and scored all the same; to leave out "
        "what is none, name the others with --target x,y"
    ]
    assert doubtful_values(wide(tmp_path, station=np.full(ROWS, 54.0)), None) == []


def test_a_column_that_is_the_sum_of_all_others_is_told(tmp_path: Path) -> None:
    a, b = parts()
    assert doubtful_values(wide(tmp_path, a=a, all=a + b, b=b), None) == [
        "column 'all' is the sum of all others: forecast and scored as one more, and its forecast "
        "need not be their sum; if it is not wanted, name the others with --target a,b"
    ]
    off = (a + b).astype(float)
    off[7] += 1
    assert doubtful_values(wide(tmp_path, a=a, all=off, b=b), None) == []
    off[7] = np.nan  # nor where it is missing
    assert len(doubtful_values(wide(tmp_path, a=a, all=off, b=b), None)) == 1


@pytest.mark.parametrize("shift", [0, 1])
def test_a_series_that_is_the_sum_of_all_others_is_told(tmp_path: Path, shift: int) -> None:
    a, b = parts()
    total = [*(a + b)][shift:]
    told = doubtful_values(long(tmp_path, {"north": [*a], "south": [*b], "total": total}), None)
    assert [text.partition(":")[0] for text in told] == (
        ["series 'total' is the sum of all others"] if not shift else []
    )


def test_two_columns_are_no_total(tmp_path: Path) -> None:
    a, _ = parts()
    assert doubtful_values(wide(tmp_path, a=a, b=a), None) == []


def test_few_rows_tell_no_total(tmp_path: Path) -> None:
    rows = {"a": [1.0] * 3 + [2.0] * 4, "b": [2.0] * 7, "c": [3.0] * 3 + [4.0] * 4}
    assert doubtful_values(long(tmp_path, rows), None) == []
    longer = {name: [*values, 5.0] for name, values in rows.items()}
    longer["c"][-1] = 10.0
    assert len(doubtful_values(long(tmp_path, longer), None)) == 1


@pytest.mark.parametrize(
    ("factor", "far"), [(1.0, False), (19.0, False), (21.0, True), (1 / 19, False), (1 / 21, True)]
)
def test_another_scale_is_one_twenty_times_larger_or_smaller(factor: float, far: bool) -> None:
    """In root mean square: √(3² + 4²) = 5 in the training."""
    recent = np.array([[5.0 * factor, 1.0], [-5.0 * factor, np.nan]])
    assert other_scale(recent, np.array([3.0, 1.0]), np.array([4.0, 1.0])) == [0] * far


def test_no_scale_is_another_where_there_are_no_values_or_zeros_only() -> None:
    recent = np.array([[0.0, np.nan, 7.0], [0.0, np.nan, 7.0]])
    assert other_scale(recent, np.array([9.0, 9.0, 0.0]), np.array([1.0, 1.0, 0.0])) == []
