"""Seasonal naive's own intervals, on series whose errors are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import seasonal_naive
from numpy.typing import NDArray

from forecaster.config.schema import DataConfig
from forecaster.data.problem import Problem, load_problem, rolling_problem
from forecaster.evaluation.baseline import score_seasonal_naive
from forecaster.evaluation.score import Scoring, evaluate

WEEK, HORIZON = 7, 3
SAMPLED = Scoring("probabilistic")


def problem_of(path: Path, series: NDArray[np.float64], lookback: int = WEEK) -> Problem:
    """A long file of series (N, T)."""
    days = pd.date_range("2024-01-01", periods=series.shape[1])
    frames = [
        pd.DataFrame({"day": days, "item": f"s{i}", "y": values}) for i, values in enumerate(series)
    ]
    pd.concat(frames).to_csv(path, index=False)
    return load_problem(DataConfig(csv=str(path), horizon=HORIZON, lookback=lookback))


def noise(series: int, rows: int, seed: int = 0) -> NDArray[np.float64]:
    """White noise around a week."""
    week = 10.0 * (np.arange(rows) % WEEK)
    return week + np.random.default_rng(seed).normal(size=(series, rows))


def errors(y: NDArray[np.float64], rows: range) -> NDArray[np.float64]:
    """The errors (n, H) of last week's values from each first row, of windows within ``rows``."""
    starts = range(rows.start, rows.stop - HORIZON + 1)
    return np.stack([y[t : t + HORIZON] - y[t - WEEK : t - WEEK + HORIZON] for t in starts])


def width(found: NDArray[np.float64]) -> float:
    """Of the 90 % intervals between the order statistics of errors (n, H) of either sign."""
    ranked, n = np.sort(np.concatenate([found, -found]), axis=0), 2 * len(found)
    low, high = int(np.floor((n + 1) * 0.05)), int(np.ceil((n + 1) * 0.95))
    return float((ranked[high - 1] - ranked[low - 1]).mean())


def test_intervals_hold_what_they_promise_of_noise_around_a_season(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "noise.csv", noise(40, 250))
    found = score_seasonal_naive(problem, "test", SAMPLED).pooled()
    for percent in (50, 80, 90, 95):
        assert found[f"coverage/{percent}"] == pytest.approx(percent / 100, abs=0.015)
    # of errors N(0, 2): the difference of two values
    assert found["crps"] == pytest.approx(2**0.5 / np.pi**0.5, rel=0.02)
    assert found["mae"] == pytest.approx(2 / np.pi**0.5, rel=0.02)


def test_they_are_its_own_errors_on_all_windows_before(tmp_path: Path) -> None:
    y = noise(1, 200)
    problem = problem_of(tmp_path / "noise.csv", y)
    train, validation = (problem.borders[0].train, problem.borders[0].validation)
    learnt = errors(y[0], range(WEEK, train))
    chosen = errors(y[0], range(train, validation))
    test = score_seasonal_naive(problem, "test", SAMPLED).pooled()
    assert test["width/90"] == pytest.approx(width(np.concatenate([learnt, chosen])), rel=1e-5)
    held = score_seasonal_naive(problem, "validation", SAMPLED).pooled()
    assert held["width/90"] == pytest.approx(width(learnt), rel=1e-5)
    rolling = rolling_problem(problem.config, problem.table, 2, HORIZON)
    found = score_seasonal_naive(rolling, "test", replace(SAMPLED, stride=HORIZON)).pooled()
    before = errors(y[0], range(WEEK, 200 - 2 * HORIZON))
    assert found["width/90"] == pytest.approx(width(before), rel=1e-5)


def test_its_point_forecast_remains_what_it_is(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "trend.csv", noise(2, 150) + np.arange(150))
    found = score_seasonal_naive(problem, "test", SAMPLED).pooled()
    point = evaluate(seasonal_naive(WEEK, HORIZON), problem, "test", Scoring())
    assert {name: found[name] for name in point} == point
    assert score_seasonal_naive(problem, "test", Scoring()).pooled() == point
    # a trend is in its errors, on either side: crps of ± 7 is less than half its error
    assert found["coverage/90"] > 0.85
    assert found["crps"] == pytest.approx(3.5, rel=0.15)


@pytest.mark.parametrize(("rows", "told"), [(37, False), (38, True)])
def test_few_errors_give_no_intervals(tmp_path: Path, rows: int, told: bool) -> None:
    """19 and 20 windows before the test split, whose errors count with either sign."""
    problem = problem_of(tmp_path / "short.csv", noise(1, rows))
    count = problem.count_windows("train") + problem.count_windows("validation")
    assert count == (20 if told else 19)
    found = score_seasonal_naive(problem, "test", SAMPLED).pooled()
    assert ("crps" in found) == ("coverage/95" in found) == told
    assert "mae" in found


def test_missing_values_are_no_errors(tmp_path: Path) -> None:
    y = noise(1, 200)
    y[0, 50:53] = np.nan
    problem = problem_of(tmp_path / "gap.csv", y)
    found = score_seasonal_naive(problem, "test", SAMPLED).pooled()
    assert 0.85 < found["coverage/90"] <= 1
    y[0, 20 : problem.borders[0].validation - 3] = np.nan
    blank = problem_of(tmp_path / "blank.csv", y)
    assert "crps" not in score_seasonal_naive(blank, "test", SAMPLED).pooled()


def test_twenty_draws_are_enough(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "noise.csv", noise(1, 120))
    few, twenty, many = (
        score_seasonal_naive(problem, "test", replace(SAMPLED, samples=n)).pooled()["crps"]
        for n in (19, 20, 1000)
    )
    assert few != twenty == many


def test_settings_of_the_model_s_sampling_do_not_concern_it(tmp_path: Path) -> None:
    problem = problem_of(tmp_path / "noise.csv", noise(1, 120))
    plain = score_seasonal_naive(problem, "test", SAMPLED).pooled()
    full = score_seasonal_naive(problem, "test", replace(SAMPLED, steps=7, full=True))
    assert full.pooled() == plain
    assert "pit" not in full.totals.sums
