"""Paired comparisons: against the textbook's test, and on losses whose true difference is known."""

import numpy as np
import pytest
from scipy import stats

from forecaster.comparison import against_best, compare


def test_without_overlap_it_is_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.gamma(2, size=15), generator.gamma(2.5, size=15)
    found = compare("a", first, "b", second, 1)
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert found.percent == pytest.approx(100 * (1 - first.mean() / second.mean()))


def test_equal_losses_cannot_be_told_apart() -> None:
    losses = np.arange(1.0, 9.0)
    found = compare("a", losses, "b", losses, 3)
    assert (found.percent, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert found.sentence("MAE") == "a and b cannot be told apart (difference 0.0 %, 95 % interval 0.0 to 0.0 %) in MAE"


def test_a_constant_ratio_is_certain() -> None:
    losses = np.arange(1.0, 9.0)
    found = compare("a", 0.9 * losses, "b", losses, 1)
    assert found.sentence("CRPS") == "a is better than b by 10.0 % (95 % interval 10.0 to 10.0 %) in CRPS"
    worse = compare("b", losses, "a", 0.8 * losses, 1)
    assert worse.sentence("MAE") == "b is worse than a by 25.0 % (95 % interval -25.0 to -25.0 %) in MAE"


@pytest.mark.parametrize(("origins", "overlap"), [(10, 1), (10, 2), (40, 4), (40, 14), (10, 14), (4, 14), (10, 28)])
def test_intervals_hold_the_true_ratio(origins: int, overlap: int) -> None:
    """2,000 backtests whose losses are moving averages over ``overlap`` origins, the first 10 % lower, or both alike."""
    generator = np.random.default_rng(0)
    held = told_apart = 0
    for _ in range(2000):
        shocks = generator.gamma(4, 0.25, size=(2, origins + overlap - 1))
        losses = np.stack([np.convolve(each, np.ones(overlap) / overlap, "valid") for each in shocks])
        found = compare("a", 0.9 * losses[0], "b", losses[1], overlap)
        held += found.low <= 10 <= found.high
        told_apart += compare("a", losses[0], "b", losses[1], overlap).p < 0.05
    assert 0.93 < held / 2000 < 0.99
    assert told_apart / 2000 < 0.065


def test_the_best_is_held_against_each_other_one() -> None:
    losses = {"c": np.array([3.0, 3.1, 3.2]), "a": np.array([1.0, 1.1, 1.2]), "b": np.array([2.0, 2.1, 2.2])}
    assert [(c.first, c.second) for c in against_best(losses, 1)] == [("a", "b"), ("a", "c")]
