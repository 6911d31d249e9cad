"""The one sentence about an evaluation: what it claims, it can."""

import numpy as np
import pytest
import torch

from forecaster.data.intervals import Interval
from forecaster.evaluation.accumulate import Accumulator
from forecaster.evaluation.compare import compare
from forecaster.evaluation.score import WindowScores
from forecaster.reporting.verdict import Paired, paired, repeating, verdict

DAYS = Interval("D")
NAIVE = np.array([10.0, 12.0, 9.0, 11.0, 10.0, 8.0])


def test_a_clear_gain_is_told_with_its_interval_and_the_coverage() -> None:
    losses = NAIVE - np.array([5.0, 6.0, 4.0, 5.0, 6.0, 4.0])
    found = compare("a", losses, "b", NAIVE, 1)
    assert verdict(Paired(losses, NAIVE, 1), DAYS, 0.934) == (
        "On 6 past windows the forecasts were 50 % closer than repeating the last week "
        f"(95 % interval {found.low:.0f} to {found.high:.0f} %); 90 % intervals held 93 %."
    )
    assert round(found.percent) == 50


def test_a_clear_loss_is_told_in_capitals_and_from_the_other_side() -> None:
    losses = NAIVE + np.array([5.0, 6.0, 4.0, 5.0, 6.0, 4.0])
    found = compare("a", losses, "b", NAIVE, 1)
    assert verdict(Paired(losses, NAIVE, 1, series=3), Interval("h")) == (
        "From 6 past origins of 3 series THE FORECASTS WERE 50 % FURTHER OFF THAN REPEATING THE "
        f"LAST DAY (95 % interval {-found.high:.0f} to {-found.low:.0f} %)."
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_what_cannot_be_told_apart_is_not_called_better_or_worse(sign: int) -> None:
    losses = NAIVE - sign * np.array([3.0, -2.0, 1.0, -1.0, 2.0, -1.0])
    text = verdict(Paired(losses, NAIVE, 1), Interval("MS"))
    assert "the forecasts cannot be told apart from repeating the last year" in text
    assert f"({3 * sign} % closer, 95 % interval " in text


def test_overlap_widens_the_interval_until_nothing_can_be_told() -> None:
    losses = NAIVE - np.array([2.0, 4.0, 1.0, 3.0, 2.0, 1.0])
    assert "% closer than" in verdict(Paired(losses, NAIVE, 1), DAYS)
    assert "cannot be told apart" in verdict(Paired(losses, NAIVE, 6), DAYS)


def test_too_few_windows_and_an_exact_baseline_are_said() -> None:
    one, none, zero = np.ones(1), np.ones(0), np.zeros(3)
    assert "one past window only: too few" in verdict(Paired(one, 2 * one, 1), DAYS)
    assert verdict(Paired(none, none, 1), DAYS).startswith("No past window has a value")
    exact = verdict(Paired(zero + 1, zero, 1), DAYS)
    assert "THE FORECASTS WERE FURTHER OFF THAN REPEATING THE LAST WEEK, which was exact" in exact
    assert "cannot be told apart" in verdict(Paired(zero, zero, 1), DAYS)


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("15min", "day"),
        ("h", "day"),
        ("D", "week"),
        ("B", "week"),
        ("W-MON", "year"),
        ("MS", "year"),
        ("QE-DEC", "year"),
        ("YE-DEC", "value"),
        ("7h", "value"),
        ("2D", "value"),
    ],
)
def test_the_season_has_a_name(alias: str, words: str) -> None:
    interval = Interval(alias)
    assert repeating(interval, interval.season) == f"repeating the last {words}"


def test_the_baseline_is_what_was_found_in_the_file() -> None:
    pairs = Paired(NAIVE / 2, NAIVE, 1)
    assert "closer than repeating the last week" in verdict(pairs, Interval("h"), season=168)
    assert "closer than repeating the last 11 steps" in verdict(pairs, Interval("MS"), season=11)


def scores(errors: list[float], absolute: list[float] | None = None) -> WindowScores:
    kept = None if absolute is None else torch.tensor(absolute, dtype=torch.float64)
    numbers = torch.arange(len(errors))
    return WindowScores(Accumulator(), numbers, torch.tensor(errors, dtype=torch.float64), kept)


def test_windows_of_one_origin_are_averaged_and_the_oldest_comes_first() -> None:
    owners, ends = np.array([0, 0, 0, 1, 1, 1]), np.array([9, 6, 3, 9, 6, 3])
    naive = scores([1.0, 2.0, 3.0, 3.0, 4.0, np.nan])
    found = paired(scores([5.0, 6.0, 7.0, 9.0, 8.0, 1.0]), naive, owners, ends, horizon=5)
    assert found.losses.tolist() == [
        7.0,
        7.0,
        7.0,
    ]  # where one of both is not known, neither counts
    assert found.baseline.tolist() == [2.0, 3.0, 3.0]
    assert (found.overlap, found.series) == (2, 2)


def test_the_point_forecasts_errors_count_not_the_crps() -> None:
    owners, ends = np.zeros(2, int), np.array([2, 1])
    found = paired(scores([0.1, 0.1], [3.0, 4.0]), scores([1.0, 1.0]), owners, ends, horizon=1)
    assert found.losses.tolist() == [3.0, 4.0]
    assert found.overlap == 1


def test_many_origins_are_thinned_out_evenly() -> None:
    count = 2500
    errors = scores(list(range(count)))
    ends = np.arange(count, 0, -1)
    found = paired(errors, errors, np.zeros(count, int), ends, horizon=7)
    assert len(found.losses) == 834
    assert set(np.diff(found.losses)) == {3.0}
    assert found.overlap == 3
