"""Numbers that may not be what they seem: codes, constants, totals, and another scale."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.doubtful import constants, doubtful_codes, other_scale, totals
from forecaster.data.splits import Scaling
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
    assert doubtful_codes(table, ("not there",)) == [
        "far off all other values: column 'wind': 999.9 (4 times); if that stands for missing "
        "values, give --missing 'not there,999.9'"
    ]
    assert doubtful_codes(wide(tmp_path, wind=parts()[0], rain=parts()[1]), None) == []


def test_codes_of_all_columns_are_in_one_option(tmp_path: Path) -> None:
    codes = {"a": -9999, "b": 999, "c": 9999, "d": 99999}
    columns = {
        name: np.where(np.arange(ROWS) % 9 == k, code, parts()[0])
        for k, (name, code) in enumerate(codes.items())
    }
    assert doubtful_codes(wide(tmp_path, **columns), None, after=", too") == [
        "far off all other values: column 'a': -9999 (5 times); column 'b': 999 (5 times); column "
        "'c': 9999 (5 times) and 1 more; if that stands for missing values, give --missing "
        "-9999,999,9999,99999, too"
    ]


def test_a_code_that_is_a_value_elsewhere_is_not_in_the_option(tmp_path: Path) -> None:
    wind = np.where(np.arange(ROWS) % 9 == 4, 999, parts()[0])
    told = doubtful_codes(wide(tmp_path, wind=wind, pressure=990 + np.arange(ROWS) % 20), None)
    assert [text.partition("; if ")[2] for text in told] == [
        "that stands for missing values, leave these cells blank, as other columns have that value"
    ]


def test_codes_count_only_in_the_rows_that_are_read(tmp_path: Path) -> None:
    values = parts()[0].astype(float)
    values[[10, 20]] = -9999
    table = wide(tmp_path, x=values, y=parts()[1])
    assert doubtful_codes(table, None, ROWS - 21) == []
    assert "-9999 (2 times)" in doubtful_codes(table, None, ROWS - 20)[0]


def test_constant_columns_are_told_with_the_option_that_leaves_them_out(tmp_path: Path) -> None:
    table = wide(tmp_path, station=np.full(ROWS, 54.0), x=parts()[0], y=parts()[1])
    assert constants(table) == [
        "one value in all rows: 'station'; forecast and scored all the same; --target x,y leaves "
        "it out"
    ]
    assert constants(wide(tmp_path, station=np.full(ROWS, 54.0))) == []
    many = {f"c{number}": np.full(ROWS, 1.0) for number in range(5)}
    assert constants(wide(tmp_path, **many, x=parts()[0]))[0].startswith(
        "one value in all rows: 'c0', 'c1', 'c2' and 2 more; "
    )


def test_a_column_that_is_the_sum_of_all_others_is_told(tmp_path: Path) -> None:
    a, b = parts()
    assert totals(wide(tmp_path, a=a, all=a + b, b=b)) == [
        "column 'all' is the sum of all others: forecast and scored as one more, and its forecast "
        "need not be their sum; --target a,b leaves it out"
    ]
    off = (a + b).astype(float)
    off[7] += 1
    assert totals(wide(tmp_path, a=a, all=off, b=b)) == []
    off[7] = np.nan  # nor where it is missing
    assert len(totals(wide(tmp_path, a=a, all=off, b=b))) == 1


@pytest.mark.parametrize(("off", "told"), [(0.01, True), (0.02, False)])
def test_a_total_may_be_off_by_a_thousandth_of_the_smallest_column(
    tmp_path: Path, off: float, told: bool
) -> None:
    """Its mean is 17."""
    a, b = parts()
    assert bool(totals(wide(tmp_path, a=1000 + a, all=1000 + a + b + off, b=b))) is told


def test_two_near_columns_and_a_small_one_are_no_total(tmp_path: Path) -> None:
    p = 1010 + np.arange(ROWS) % 13
    rain = np.arange(ROWS) % 5 * 0.4
    assert totals(wide(tmp_path, yard=p, roof=p - 0.3, rain=rain)) == []


def test_a_column_of_zeros_hides_no_total(tmp_path: Path) -> None:
    a, b = parts()
    assert len(totals(wide(tmp_path, a=a, all=a + b, b=b, closed=np.zeros(ROWS)))) == 1


@pytest.mark.parametrize("shift", [0, 1])
def test_a_series_that_is_the_sum_of_all_others_is_told(tmp_path: Path, shift: int) -> None:
    a, b = parts()
    total = [*(a + b)][shift:]
    told = totals(long(tmp_path, {"north": [*a], "south": [*b], "total": total}))
    assert [text.partition(":")[0] for text in told] == (
        ["series 'total' is the sum of all others"] if not shift else []
    )


@pytest.mark.filterwarnings("error")
def test_columns_that_are_never_there_together_are_no_total(tmp_path: Path) -> None:
    a, b = (each.astype(float) for each in parts())
    a[::2], b[1::2] = np.nan, np.nan
    assert totals(wide(tmp_path, a=a, b=b, c=parts()[0])) == []


def test_two_columns_are_no_total(tmp_path: Path) -> None:
    a, _ = parts()
    assert totals(wide(tmp_path, a=a, b=a)) == []


def test_few_rows_tell_no_total(tmp_path: Path) -> None:
    rows = {"a": [1.0] * 3 + [2.0] * 4, "b": [2.0] * 7, "c": [3.0] * 3 + [4.0] * 4}
    assert totals(long(tmp_path, rows)) == []
    longer = {name: [*values, 5.0] for name, values in rows.items()}
    longer["c"][-1] = 10.0
    assert totals(long(tmp_path, longer)) == [
        "series 'c' is the sum of all others: forecast and scored as one more, and its forecast "
        "need not be their sum; to leave it out, remove its rows"
    ]


@pytest.mark.parametrize(
    ("mean", "factor", "far"),
    [
        *((4.0, 1.0, False), (4.0, 19.0, False), (4.0, 21.0, True)),
        *((4.0, 1 / 19, False), (4.0, 1 / 21, True)),
        (3.0, 1 / 21, False),  # values on both sides of 0 may be quiet for a while
        (3.0, 21.0, True),
    ],
)
def test_another_scale_is_one_twenty_times_larger_or_smaller(
    mean: float, factor: float, far: bool
) -> None:
    """In root mean square: √(3² + 4²) = 5 in the training."""
    recent = np.array([[1.0, 5.0 * factor], [np.nan, -5.0 * factor]])
    scaling = Scaling(np.array([1.0, mean]), np.array([0.5, 7.0 - mean]))
    found = other_scale(recent, scaling)
    assert [k for k, *_ in found] == [1] * far
    if far:
        assert found[0][1:] == pytest.approx((5.0 * factor, 5.0))


def test_no_scale_is_another_of_zeros_blanks_or_a_constant() -> None:
    recent = np.array([[0.0, np.nan, 7.0, 1e-3]] * 2)
    training = np.array([[9.0, 9.0, 0.0, 1e-3], [8.0, 8.0, 0.0, 1e-3]])
    scaling = Scaling.fit(training, "", ("a", "b", "c", "d"))
    assert scaling.constant.tolist() == [False, False, True, True]
    assert other_scale(recent, scaling) == []
