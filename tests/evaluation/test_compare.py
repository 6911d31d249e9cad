"""Paired comparisons: against the textbook's test, and on losses whose true difference is known."""

import numpy as np
import pytest
from scipy import stats

from forecaster.evaluation.compare import (
    Comparison,
    _standard_error,
    against_best,
    compare,
    in_words,
)


def test_without_overlap_it_is_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.gamma(2, size=15), generator.gamma(2.5, size=15)
    found = compare("a", first, "b", second, 1)
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert found.percent == pytest.approx(100 * (1 - first.mean() / second.mean()))


def test_the_interval_is_that_of_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.gamma(2, size=15), generator.gamma(2.5, size=15)
    bounds = stats.ttest_rel(second, first).confidence_interval(0.95)
    found = compare("a", first, "b", second, 1)
    assert (found.low, found.high) == pytest.approx(
        tuple(100 * bound / second.mean() for bound in bounds)
    )
    three = compare("a", first, "b", second, 1, pairs=3)
    bounds = stats.ttest_rel(second, first).confidence_interval(1 - 0.05 / 3)
    assert (three.low, three.high) == pytest.approx(
        tuple(100 * bound / second.mean() for bound in bounds)
    )
    assert three.p == pytest.approx(min(3 * found.p, 1))


@pytest.mark.parametrize("losses", [np.arange(1.0, 9.0), np.zeros(8)])
def test_equal_losses_do_not_differ_significantly(losses: np.ndarray) -> None:
    found = compare("a", losses, "b", losses, 3)
    assert (found.percent, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert (
        found.sentence("MAE")
        == "a and b cannot be told apart (difference 0.0 %, 95 % interval 0.0 to 0.0 %) in MAE"
    )


def test_a_constant_difference_is_certain() -> None:
    losses = np.arange(1.0, 10.0)
    found = compare("a", losses - 0.5, "b", losses, 1)
    assert (
        found.sentence("CRPS")
        == "a is better than b by 10.0 % (95 % interval 10.0 to 10.0 %) in CRPS"
    )
    assert found.p == 0
    worse = compare("b", losses, "a", losses - 1, 1)
    assert (
        worse.sentence("MAE")
        == "b is worse than a by 25.0 % (95 % interval -25.0 to -25.0 %) in MAE"
    )


def test_a_small_certain_difference_is_one() -> None:
    losses = np.arange(1.0, 10.0)
    better = compare("a", losses - 0.02, "b", losses, 1)
    assert better.significant
    assert better.sentence("MAE").startswith("a is better than b by 0.4 %")
    worse = compare("a", losses + 0.02, "b", losses, 1)
    assert worse.significant
    assert worse.sentence("MAE").startswith("a is worse than b by 0.4 %")


def test_a_p_value_is_1_at_most_however_many_pairs() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.gamma(2, size=(2, 15))
    assert compare("a", first, "b", second, 1).p > 0.02
    assert compare("a", first, "b", second, 1, pairs=100).p == 1.0


def test_an_interval_that_ends_at_0_leaves_it_in() -> None:
    for low, high in ((0.0, 2.0), (-2.0, 0.0)):
        found = Comparison("a", "b", (low + high) / 2, low, high, 0.05)
        assert not found.significant
        assert "cannot be told apart" in found.sentence("MAE")
        assert found.pairs == 1


@pytest.mark.parametrize("others", [np.zeros(5), np.array([-1.0, 0, 0, 0, 1]), -np.ones(5)])
def test_no_difference_is_relative_to_losses_of_0(others: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no relative difference"):
        compare("a", np.arange(5.0), "b", others, 1)
    assert compare("a", others, "b", others, 1).p == 1


@pytest.mark.parametrize(
    ("origins", "overlap"), [(10, 1), (10, 2), (40, 4), (40, 14), (10, 14), (4, 14), (10, 28)]
)
def test_intervals_hold_the_true_difference(origins: int, overlap: int) -> None:
    """2,000 backtests whose losses are moving averages over ``overlap`` origins, of mean .9 and 1,
    or both alike.
    """
    generator = np.random.default_rng(0)
    held = significant = 0
    for _ in range(2000):
        shocks = generator.gamma(4, 0.25, size=(2, origins + overlap - 1))
        losses = np.stack(
            [np.convolve(each, np.ones(overlap) / overlap, "valid") for each in shocks]
        )
        found = compare("a", 0.9 * losses[0], "b", losses[1], overlap)
        held += found.low <= 10 / losses[1].mean() <= found.high
        alike = compare("a", losses[0], "b", losses[1], overlap)
        assert alike.significant == (alike.p < 0.05)
        significant += alike.significant
    assert 0.93 < held / 2000 < 0.99
    assert significant / 2000 < 0.065


@pytest.mark.parametrize("models", [2, 4, 8])
def test_the_best_of_equal_models_is_seldom_found_better(models: int) -> None:
    """1,000 backtests of models that are as good as one another: the best is picked and told from
    another in 5 % at most.
    """
    generator = np.random.default_rng(1)
    significant = 0
    for _ in range(1000):
        shared = generator.normal(1, 0.2, size=10)
        losses = {str(m): shared + generator.normal(0, 0.1, size=10) for m in range(models)}
        significant += any(found.significant for found in against_best(losses, 1))
    assert significant / 1000 < 0.065


def test_the_best_is_held_against_each_other_one() -> None:
    losses = {
        "c": np.array([3.0, 3.1, 3.2]),
        "a": np.array([1.0, 1.1, 1.2]),
        "b": np.array([2.0, 2.1, 2.2]),
    }
    assert [(c.first, c.second) for c in against_best(losses, 1)] == [("a", "b"), ("a", "c")]
    for found in against_best(losses, 2):
        expected = compare("a", losses["a"], found.second, losses[found.second], 2, pairs=3)
        assert found == expected
        assert found.percent > 0
    two, three = ({name: losses[name] for name in names} for names in ("ab", "abc"))
    assert len(in_words(against_best(two, 1), "mae")) == 1
    assert in_words(against_best(three, 1), "mae")[2].startswith(
        "the intervals hold for all pairs of these models at once"
    )
    assert [found.pairs for found in against_best(three, 1)] == [3, 3]


@pytest.mark.parametrize(("origins", "overlap"), [(2, 1), (2, 9), (7, 7), (9, 4), (30, 3)])
def test_the_standard_error_is_that_of_the_whole_correlation_matrix(
    origins: int, overlap: int
) -> None:
    values = np.random.default_rng(0).normal(size=origins)
    apart = np.abs(np.subtract.outer(np.arange(origins), np.arange(origins)))
    correlation = np.maximum(1 - apart / overlap, 0)
    centred = correlation - correlation.mean(0)
    variance = values.var() * origins / np.trace(centred) * correlation.sum() / origins**2
    error, freedom = _standard_error(values, overlap)
    assert error == pytest.approx(variance**0.5)
    assert freedom == pytest.approx(np.trace(centred) ** 2 / np.trace(centred @ centred))
