"""Horizon, lookback and seasons that a file decides."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.config.schema import Columns, DataConfig
from forecaster.data.defaults import Steps, choose_steps, settle, usual_steps
from forecaster.data.intervals import Interval
from forecaster.data.problem import load_problem
from forecaster.data.splits import PARTS
from forecaster.data.tables import Table, read_table

FREE = DataConfig()


def chosen(alias: str, lengths: Sequence[int], config: DataConfig = FREE) -> tuple[int, int]:
    steps = choose_steps(config, lengths, Interval(alias))
    return steps.horizon, steps.lookback


def monthly(folder: Path, columns: dict[str, np.ndarray]) -> Table:
    """A long file of monthly series."""
    frames = [
        pd.DataFrame(
            {"item": n, "time": pd.date_range("1990-01", periods=len(v), freq="MS"), "y": v}
        )
        for n, v in columns.items()
    ]
    pd.concat(frames).to_csv(folder / "months.csv", index=False)
    return read_table(folder / "months.csv", Columns(item_id="item"))


def year(rows: int) -> np.ndarray:
    return 100 + 10 * np.sin(2 * np.pi * np.arange(rows) / 12) + np.arange(rows) % 5


@pytest.mark.parametrize(
    ("alias", "horizon", "lookback"),
    [
        ("s", 60, 480),
        ("min", 60, 480),
        ("5min", 60, 480),
        ("10min", 144, 1008),
        ("15min", 96, 672),
        ("30min", 48, 336),
        ("h", 48, 336),
        ("6h", 8, 56),
        ("12h", 4, 28),
        ("D", 28, 112),
        ("2D", 13, 52),
        ("B", 20, 120),
        ("W-MON", 13, 104),
        ("2W-MON", 6, 52),
        ("MS", 12, 36),
        ("2MS", 6, 18),
        ("6MS", 2, 6),
        ("QS-JAN", 4, 16),
        ("YE-DEC", 3, 10),
    ],
)
def test_the_interval_decides_of_long_series(alias: str, horizon: int, lookback: int) -> None:
    assert usual_steps(Interval(alias)) == Steps(horizon, lookback)
    assert chosen(alias, [20_000]) == (horizon, lookback)


@pytest.mark.parametrize(
    ("alias", "rows", "horizon", "lookback"),
    [
        ("MS", 144, 12, 36),
        ("MS", 90, 12, 24),  # whole years
        ("MS", 60, 12, 12),
        ("MS", 36, 7, 12),  # three seasons: a year to read
        ("MS", 24, 4, 10),
        ("MS", 12, 2, 4),
        ("W-MON", 966, 13, 104),
        ("W-MON", 156, 13, 52),
        ("h", 72, 14, 24),  # three days
        ("h", 700, 48, 288),
        ("15min", 288, 57, 96),
        ("D", 21, 4, 7),  # three weeks
        ("D", 400, 28, 112),
        ("QS-JAN", 40, 4, 16),
        ("YE-DEC", 60, 3, 10),
        ("YE-DEC", 9, 1, 4),
    ],
)
def test_short_series_have_shorter_ones(alias: str, rows: int, horizon: int, lookback: int) -> None:
    assert chosen(alias, [rows]) == (horizon, lookback)


@pytest.mark.parametrize("alias", ["s", "15min", "h", "D", "B", "W-MON", "MS", "QS-JAN", "YE-DEC"])
def test_no_series_of_four_rows_is_too_short(alias: str) -> None:
    for rows in range(4, 400):
        horizon, lookback = chosen(alias, [rows])
        assert min(horizon, lookback) >= 1
        assert lookback + 3 * horizon <= rows


def test_what_is_given_stays_and_the_other_adapts() -> None:
    assert chosen("h", [5000], DataConfig(horizon=24)) == (24, 336)
    assert chosen("h", [5000], DataConfig(horizon=336)) == (336, 672)
    assert chosen("h", [5000], DataConfig(lookback=48)) == (24, 48)
    assert chosen("h", [5000], DataConfig(lookback=1000)) == (48, 1000)
    assert chosen("h", [500], DataConfig(lookback=470)) == (10, 470)
    assert chosen("h", [50], DataConfig(horizon=96, lookback=336)) == (96, 336)
    assert chosen("MS", [144], DataConfig(horizon=24)) == (24, 36)  # whole years


def test_many_series_leave_more_for_the_lookback() -> None:
    assert chosen("h", [700] * 9) == (48, 288)
    assert chosen("h", [700] * 10) == (48, 336)


def test_a_few_tiny_series_do_not_decide_for_all() -> None:
    assert chosen("MS", [144, 72]) == (12, 12)
    assert chosen("MS", [144, 144, 71]) == (12, 36)
    assert chosen("MS", [144, 144, 30]) == (9, 36)  # 3 · 9 + 2 rows, padded
    assert chosen("MS", [144, 144, 10]) == (12, 36)  # no horizon for it is worth those of all
    strict = DataConfig(on_short="error")
    assert chosen("MS", [144, 144, 36], strict) == chosen("MS", [36])


def test_what_is_chosen_can_be_trained_on_and_is_said(tmp_path: Path) -> None:
    table = monthly(tmp_path, {"a": year(144), "b": year(144), "c": year(40)})
    config, decisions = settle(DataConfig(csv="x"), table)
    assert (config.horizon, config.lookback, config.seasons) == (12, 36, (12,))
    assert config.on_short == "pad"
    assert decisions == [
        "horizon 12, lookback 36: a year ahead of 3 years of monthly data (40 rows or more)",
        "1 of 3 series: fewer rows than lookback + 3 · horizon, so their history is padded",
        "season a year (12 steps), found in the training rows; seasonal naive repeats the last year",
    ]
    problem = load_problem(config, table)
    assert all(problem.count_windows(part) for part in PARTS)
    assert problem.season == 12
    again, nothing = settle(DataConfig.model_validate(config.model_dump(mode="json")), table)
    assert (again, nothing) == (config, [])


def test_the_reason_of_a_short_series_and_of_one_that_is_given(tmp_path: Path) -> None:
    table = monthly(tmp_path, {"a": year(36)})
    _, decisions = settle(DataConfig(csv="x", seasons=(12, 3)), table)
    assert decisions == [
        "horizon 7, lookback 12: 7 months ahead of a year of monthly data (36 rows); for a longer "
        "series horizon 12, lookback 36"
    ]
    config, decisions = settle(DataConfig(csv="x", horizon=3, seasons=(1,)), table)
    assert decisions == [
        "lookback 12: 3 months ahead of a year of monthly data (36 rows); for a longer series "
        "lookback 36"
    ]
    assert (config.horizon, config.seasons) == (3, (1,))


def test_named_data_sets_keep_their_protocol(tmp_path: Path) -> None:
    table = monthly(tmp_path, {"a": year(60)})
    config = DataConfig(dataset="etth1")
    assert settle(config, table) == (config, [])


def test_rows_after_the_training_border_do_not_change_what_is_found(tmp_path: Path) -> None:
    """The last three tenths are noise, or gone: the seasons are those of the rows before."""
    known = year(200)
    table = monthly(tmp_path, {"a": known})
    found = settle(DataConfig(csv="x"), table)[0].seasons
    for rest in (np.random.default_rng(0).normal(size=60) * 1e6, np.full(60, np.nan)):
        changed = monthly(tmp_path, {"a": np.concatenate([known[:140], rest])})
        assert settle(DataConfig(csv="x"), changed)[0].seasons == found == (12,)
    noise = np.random.default_rng(1).normal(size=140)
    hidden = monthly(tmp_path, {"a": np.concatenate([noise, year(200)[140:] * 1e6])})
    assert settle(DataConfig(csv="x"), hidden)[0].seasons == (1,)
