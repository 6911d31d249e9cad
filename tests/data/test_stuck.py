"""A value that stays for long in a column that otherwise changes is told, with its place."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns
from forecaster.data.stuck import stuck
from forecaster.data.tables import Table, read_table

ROWS = 200
AFTER = "; if these were not measured, leave their cells blank"
BEFORE = "one value for long, where others change: "


def table(folder: Path, **columns: np.ndarray) -> Table:
    """A table of hourly columns."""
    hours = pd.date_range("2024-01-01", periods=ROWS, freq="h")
    pd.DataFrame({"time": hours, **columns}).to_csv(folder / "x.csv", index=False)
    return read_table(folder / "x.csv", Columns(on_gap="fill", target=tuple(columns)))


def changing(step: int = 2) -> np.ndarray:
    """Values of which each stays for ``step`` rows."""
    return 20 + np.arange(ROWS) // step % 7 / 10


def held(values: np.ndarray, first: int, rows: int, value: float = 20.05) -> np.ndarray:
    return np.where((np.arange(ROWS) >= first) & (np.arange(ROWS) < first + rows), value, values)


def test_a_run_is_told_with_its_value_its_length_and_its_ends(tmp_path: Path) -> None:
    found = stuck(table(tmp_path, x=held(changing(), 30, 30), y=changing()))
    told = "column 'x': 20.05 in 30 rows, 2024-01-02 06:00:00 to 2024-01-03 11:00:00"
    assert found == [f"{BEFORE}{told}{AFTER}"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (held(changing(1), 50, 24), True),
        (held(changing(1), 50, 23), False),  # a day of hours is the least
        (held(changing(3), 51, 24), True),
        (held(changing(4), 52, 32), True),
        (held(changing(4), 52, 31), False),  # eight times what is usual
        (held(changing(5), 50, 150), False),  # steps, as prices have
        (held(changing(1), 50, 100, 0.0), False),  # nothing
        (held(changing(1), 0, 178), True),
        (held(changing(1), 0, 179), False),  # of others too few to tell
        (np.full(ROWS, 5.0), False),
        (held(changing(1), 170, 30), True),
    ],
)
def test_it_is_long_beside_the_others(tmp_path: Path, values: np.ndarray, told: bool) -> None:
    assert bool(stuck(table(tmp_path, x=values, y=changing()))) is told


def test_up_to_three_of_a_column_are_no_usual_ones(tmp_path: Path) -> None:
    values = held(held(held(changing(1), 5, 24, 20.15), 40, 31, 20.25), 80, 40, 20.35)
    (found,) = stuck(table(tmp_path, x=values, y=changing()))
    assert [f"in {rows} rows" in found for rows in (24, 31, 40)] == [True] * 3
    assert stuck(table(tmp_path, x=held(values, 150, 25, 20.45), y=changing())) == []


@pytest.mark.parametrize(("other", "told"), [(24, 0), (30, 0), (37, 0), (38, 2)])
def test_runs_of_nearly_one_length_are_none(tmp_path: Path, other: int, told: int) -> None:
    """They may be weekends; as long as told is 1.25 times the shorter one."""
    values = held(held(changing(1), 20, 30), 100, other, 20.15)
    found = stuck(table(tmp_path, x=values, y=changing()))
    assert sum(text.count(" rows, ") for text in found) == told


@pytest.mark.parametrize("value", [20.0, 20.6, 19.9, 20.7, -9999.0, 99999.0])
def test_limits_and_codes_are_none(tmp_path: Path, value: float) -> None:
    """The least and the largest value, of a sensor's range or of a plateau, and what is far off."""
    values = held(changing(1), 50, 40, value)
    assert stuck(table(tmp_path, x=values, y=changing())) == []
    inside = np.append(values[:-2], [19.0, 21.0])
    assert bool(stuck(table(tmp_path, x=inside, y=changing()))) is (abs(value) < 100)


def test_a_missing_value_ends_a_run(tmp_path: Path) -> None:
    values = held(changing(1), 50, 40)
    values[70] = np.nan
    assert stuck(table(tmp_path, x=values, y=changing())) == []


def test_only_runs_into_the_last_rows_are_told_of_a_forecast(tmp_path: Path) -> None:
    found = table(tmp_path, x=held(changing(1), 100, 30), y=changing())
    assert stuck(found, ROWS - 129)
    assert stuck(found, ROWS - 130) == []


def test_series_are_told_apart(tmp_path: Path) -> None:
    """The end of one is not the beginning of the next; the first three are named."""
    hours = pd.date_range("2024-01-01", periods=ROWS, freq="h")
    rows = [held(changing(1), ROWS - 20, 20), held(changing(1), 0, 20)]
    rows += [held(changing(1), 50, 30 + number) for number in range(5)]
    frame = pd.concat(
        pd.DataFrame({"time": hours, "meter": f"m{number}", "x": values})
        for number, values in enumerate(rows)
    )
    frame.to_csv(tmp_path / "long.csv", index=False)
    (found,) = stuck(read_table(tmp_path / "long.csv", Columns(item_id="meter")))
    assert "series 'm2', column 'x': 20.05 in 30 rows, 2024-01-03 02:00:00 to" in found
    assert [f"'m{number}'" in found for number in range(7)] == [
        False,
        False,
        *[True] * 3,
        False,
        False,
    ]
    assert f" and 2 more{AFTER}" in found
