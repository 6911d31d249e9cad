"""A known column that holds the values to be forecast is told, whatever its unit and its shift."""

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.leaks import suspected_leaks
from forecaster.data.tables import Table, read_table

ROWS = 120
NOISE = np.random.default_rng(0).normal(size=(ROWS + 20, 2)).round(3)


def table(write, known: np.ndarray, y: np.ndarray = NOISE[10:-10, 0]) -> Table:
    frame = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d"), "y": y, "x": known}
    )
    return read_table(write(frame.to_csv(index=False)), Columns(known="x", target="y"))


@pytest.mark.parametrize(
    ("step", "where"),
    [
        (0, "in the same rows"),
        (1, "1 step(s) later"),
        (-1, "1 step(s) before"),
        (7, "7 step(s) later"),
    ],
)
@pytest.mark.parametrize(("factor", "level"), [(1, 0), (-2.5, 100)])
def test_copies_of_the_values_are_told(write, step: int, where: str, factor, level) -> None:
    copy = level + factor * NOISE[10 + step : 10 + step + ROWS, 0]
    assert suspected_leaks(table(write, copy), horizon=7) == [
        f"column 'x' (--known) repeats 'y', or a multiple of it, {where}: if it is made from those "
        "values, it is not known ahead, and all errors flatter the model; leave it out, or give it "
        "with --past"
    ]


@pytest.mark.parametrize(
    "known",
    [
        NOISE[10:-10, 1],  # of its own
        NOISE[10:-10, 0] + 0.3 * NOISE[10:-10, 1],  # close to the values, as a good forecast is
        NOISE[18:138, 0],  # of a later time than is forecast
        np.ones(ROWS),
    ],
)
def test_other_columns_are_not_told(write, known: np.ndarray) -> None:
    assert suspected_leaks(table(write, known), horizon=7) == []


def test_as_a_past_column_a_copy_is_in_order(write) -> None:
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d"),
            "y": NOISE[:ROWS, 0],
        }
    )
    path = write(frame.assign(x=frame["y"]).to_csv(index=False))
    assert suspected_leaks(read_table(path, Columns(past="x", target="y")), horizon=7) == []
    assert suspected_leaks(read_table(path, Columns(target="y")), horizon=7) == []


def test_a_copy_with_a_few_other_values_is_a_copy(write) -> None:
    copy = NOISE[10:-10, 0].copy()
    copy[50] = 9
    assert len(suspected_leaks(table(write, copy), horizon=7)) == 1
    copy[51:56] = 9
    assert suspected_leaks(table(write, copy), horizon=7) == []
