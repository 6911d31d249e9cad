"""The seasons of constructed series, whose seasons are known."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from forecaster.config.schema import DataConfig
from forecaster.data.intervals import Interval
from forecaster.data.seasons import Found, find_seasons, seasons_of, slower

HOURS, DAYS, MONTHS = Interval("h"), Interval("D"), Interval("MS")
SEEDS = range(8)
Values = NDArray[np.float64]


def wave(rows: int, season: float) -> Values:
    return np.sin(2 * np.pi * np.arange(rows) / season)


def weekend(rows: int, day: int) -> Values:
    return np.where(np.arange(rows) // day % 7 >= 5, 1.0, 0.0)


def noise(rows: int, seed: int) -> Values:
    return np.random.default_rng(seed).normal(size=rows)


def found(*columns: Values, interval: Interval = HOURS) -> tuple[int, ...]:
    return find_seasons([np.stack(columns, axis=1)], interval).steps


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_and_a_week(seed: int) -> None:
    """The same hour of the week is closer than that of the day before, which is no other weekday."""
    y = wave(1500, 24) + weekend(1500, 24) + 0.3 * noise(1500, seed)
    assert found(y) == (168, 24)
    assert found(y + 0.01 * np.arange(1500)) == (24, 168)  # a week is a step up, too


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_alone_is_no_week(seed: int) -> None:
    """Neither one that never changes, nor one whose size wanders from day to day."""
    assert found(wave(1500, 24) + 0.3 * noise(1500, seed)) == (24,)
    size = 3 + 0.2 * np.repeat(noise(63, seed + 100).cumsum(), 24)[:1500]
    assert found(size * wave(1500, 24) + 0.3 * noise(1500, seed)) == (24,)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_week_and_a_year(seed: int) -> None:
    y = weekend(1500, 1) + 1.5 * wave(1500, 365.25) + 0.3 * noise(1500, seed)
    assert found(y, interval=DAYS) == (7, 365)
    assert found(1.5 * wave(1100, 365.25) + noise(1100, seed), interval=DAYS) == (365,)


def test_the_strongest_of_a_day_s_harmonics_is_not_taken_for_it() -> None:
    y = wave(1500, 24) + 2 * wave(1500, 12) + 0.3 * noise(1500, 0)
    assert found(y) == (24,)


@pytest.mark.parametrize(
    "make",
    [
        lambda n, seed: noise(n, seed),
        lambda n, seed: noise(n, seed).cumsum(),
        lambda n, seed: 0.05 * np.arange(n) + noise(n, seed),
        lambda n, seed: 0.05 * np.arange(n),
        lambda n, seed: np.exp(0.002 * np.arange(n)),
        lambda n, seed: np.zeros(n) + 3,
        lambda n, seed: np.where(noise(n, seed) > 1.5, np.abs(noise(n, seed + 50)), 0),
        lambda n, seed: np.where(np.arange(n) == n // 3, 1e9, noise(n, seed)),
    ],
    ids=["noise", "walk", "trend", "line", "growth", "constant", "intermittent", "outlier"],
)
def test_what_has_no_season(make: Callable[[int, int], Values]) -> None:
    """One in a hundred may look like one by chance: none of these does."""
    for rows, interval in ((1000, HOURS), (2000, DAYS), (90, MONTHS)):
        for seed in SEEDS:
            assert found(make(rows, seed), interval=interval) == (1,)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_season_of_sales_that_are_mostly_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sold = rng.random(900) < np.where(np.arange(900) % 7 == 5, 0.8, 0.05)
    assert found(sold * rng.integers(1, 5, 900).astype(float), interval=DAYS) == (7,)


@pytest.mark.parametrize("seed", SEEDS)
def test_missing_values_hide_no_season(seed: int) -> None:
    y = wave(1500, 24) + weekend(1500, 24) + 0.3 * noise(1500, seed)
    y[np.random.default_rng(seed).random(1500) < 0.3] = np.nan
    y[200:260] = np.nan
    assert found(y) == (168, 24)


@pytest.mark.parametrize("seed", SEEDS)
def test_seasons_that_are_not_the_calendar_s(seed: int) -> None:
    machine = wave(1500, 10) + 0.3 * noise(1500, seed)
    assert found(machine, interval=Interval("s")) == (10,)  # and no minute of six of them
    spots = 1.5 * wave(120, 11) + 0.3 * noise(120, seed)
    assert found(spots, interval=Interval("YE-DEC")) == (11,)
    assert found(spots, interval=MONTHS) == (11,)  # and no year, which is close by


def test_years_are_found_in_few_months() -> None:
    """Three years are enough, if they are alike."""
    y = 2 * wave(36, 12) + 0.3 * noise(36, 0) + 0.1 * np.arange(36)
    assert find_seasons([y[:, None]], MONTHS) == Found((12,), True)


def test_too_few_rows_to_tell_have_the_interval_s_own_season() -> None:
    for rows in (1, 2, 9, 35):
        assert find_seasons([noise(rows, 1)[:, None]], MONTHS) == Found((12,), False)
    assert find_seasons([noise(36, 1)[:, None]], MONTHS) == Found((1,), True)
    assert find_seasons([noise(9, 1)[:, None]], Interval("YE-DEC")) == Found((1,), True)
    assert find_seasons([np.full((20, 1), np.nan)], MONTHS) == Found((12,), False)


def test_many_series_show_together_what_one_does_not() -> None:
    short = [2 * wave(40, 12) + 1.5 * noise(40, seed) for seed in range(40)]
    assert find_seasons([y[:, None] for y in short], MONTHS).steps == (12,)
    assert sum(found(y, interval=MONTHS) == (12,) for y in short) < 35


def test_one_column_of_many_has_no_say() -> None:
    columns = [noise(800, seed) for seed in range(9)]
    assert found(wave(800, 24), *columns) == (1,)
    assert found(wave(800, 24), wave(800, 24) + columns[0], *columns[1:3]) == (24,)


def test_units_and_sizes_do_not_matter() -> None:
    y = wave(1500, 24) + weekend(1500, 24) + 0.3 * noise(1500, 0)
    assert found(1e-6 * y, 1e9 + 1e6 * noise(1500, 1), 1e5 * y) == (168, 24)


def test_the_main_season_has_the_smallest_change() -> None:
    """Repeating the day before is better than the week before where the level wanders."""
    steady = wave(1500, 24) + weekend(1500, 24)
    walk = 0.08 * noise(1500, 3).cumsum()
    assert found(steady) == (168, 24)
    assert found(steady / 2 + walk) == (24, 168)


def test_series_of_any_length_together() -> None:
    y = wave(1500, 24)[:, None] + 0.3 * noise(1500, 0)[:, None]
    assert find_seasons([y, y[:30], y[:1], y[:0]], HOURS).steps == (24,)


def test_coarser_steps_have_fewer_seasons() -> None:
    assert slower((168, 24), 4) == (42, 6)
    assert slower((168, 24), 24) == (7,)
    assert slower((12,), 5) == (1,)
    assert slower((1,), 3) == (1,)
    assert slower(None, 3) is None


def test_without_seasons_the_interval_s_own_is_taken() -> None:
    assert seasons_of(DataConfig(), HOURS) == (24,)
    assert seasons_of(DataConfig(seasons=(168, 24)), HOURS) == (168, 24)


def test_torch_is_not_needed() -> None:
    code = "import sys, forecaster.data.seasons; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
