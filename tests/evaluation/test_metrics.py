"""Metrics against libraries and closed forms."""

import math

import numpy as np
import pytest
import scoringrules
import torch

from forecaster.data.seasons import seasonal_errors
from forecaster.evaluation.metrics import (
    LEVELS_9,
    LEVELS_19,
    QUANTILES,
    interval_score,
    pit_histogram,
    pit_range,
    symmetric_percentage,
    variogram_terms,
)
from forecaster.models.scoring_rules import (
    crps_from_samples,
    energy_score,
    pinball,
    quantiles_of_ranked,
)


def test_crps_is_scoringrules_fair_one() -> None:
    generator = np.random.default_rng(0)
    samples, y = generator.normal(size=(7, 20, 3)), generator.normal(size=(7, 3))
    ours = crps_from_samples(torch.tensor(samples), torch.tensor(y))
    theirs = scoringrules.crps_ensemble(y, samples, m_axis=1, estimator="fair")
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_energy_score_is_scoringrules_fair_one() -> None:
    generator = np.random.default_rng(0)
    samples, y = generator.normal(size=(5, 20, 2, 3)), generator.normal(size=(5, 2, 3))
    ours = energy_score(
        torch.tensor(samples), torch.tensor(y), torch.ones(5, 2, 3, dtype=torch.float64)
    )
    flat, m = samples.reshape(5, 20, 6), 20
    biased = scoringrules.es_ensemble(y.reshape(5, 6), flat)
    spread = np.linalg.norm(flat[:, :, None] - flat[:, None], axis=-1).sum((1, 2)) / 2
    np.testing.assert_allclose(ours, biased + spread / m**2 - spread / (m * (m - 1)), rtol=1e-12)


def test_crps_of_many_gaussian_samples_is_the_closed_form() -> None:
    torch.manual_seed(0)
    y = torch.tensor([[0.0], [1.3]], dtype=torch.float64)
    samples = torch.randn(2, 200_000, 1, dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 1.0)
    density = normal.log_prob(y).exp()
    closed = y * (2 * normal.cdf(y) - 1) + 2 * density - 1 / math.sqrt(math.pi)
    torch.testing.assert_close(crps_from_samples(samples, y), closed, atol=3e-3, rtol=0)


def test_crps_is_the_integral_of_the_quantile_losses() -> None:
    """Of a Gaussian: twice the pinball loss, averaged over a fine grid of levels, is its CRPS."""
    levels = [(i + 0.5) / 20_000 for i in range(20_000)]
    y = torch.tensor([[0.4]], dtype=torch.float64)
    quantiles = torch.special.ndtri(torch.tensor(levels, dtype=torch.float64)).view(1, -1, 1)
    normal = torch.distributions.Normal(torch.tensor(0.0, dtype=torch.float64), 1.0)
    closed = y * (2 * normal.cdf(y) - 1) + 2 * normal.log_prob(y).exp() - 1 / math.sqrt(math.pi)
    torch.testing.assert_close(pinball(quantiles, y, levels).mean(1), closed, atol=1e-4, rtol=0)


def test_variogram_score_is_the_one_of_scoringrules() -> None:
    """Theirs sums all ordered pairs; ours gives the unordered ones and their number."""
    generator = np.random.default_rng(0)
    samples, y = generator.normal(size=(5, 20, 4, 3)), generator.normal(size=(5, 4, 3))
    total, pairs = variogram_terms(
        torch.tensor(samples), torch.tensor(y), torch.ones(5, 4, 3, dtype=torch.float64)
    )
    theirs = scoringrules.vs_ensemble(
        y.swapaxes(1, 2), samples.transpose(0, 3, 1, 2), p=0.5
    )  # (B, H), (B, H, S, K)
    np.testing.assert_allclose(2 * total, theirs, rtol=1e-12)
    assert (pairs == 6).all()


def test_variogram_score_leaves_out_pairs_with_a_missing_channel() -> None:
    generator = np.random.default_rng(0)
    samples, y = (
        torch.tensor(generator.normal(size=(5, 20, 4, 3))),
        torch.tensor(generator.normal(size=(5, 4, 3))),
    )
    mask = torch.ones_like(y)
    mask[:, 2] = 0
    kept = [0, 1, 3]
    expected = variogram_terms(samples[:, :, kept], y[:, kept], mask[:, kept])
    for found, wanted in zip(variogram_terms(samples, y, mask), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_interval_score_is_the_one_of_scoringrules() -> None:
    generator = np.random.default_rng(0)
    low, y = generator.normal(size=100), 2 * generator.normal(size=100)
    high = low + generator.uniform(0, 2, size=100)
    for percent in (50, 90):
        ours = interval_score(*(torch.tensor(each) for each in (low, high, y)), percent)
        np.testing.assert_allclose(
            ours, scoringrules.interval_score(y, low, high, 1 - percent / 100), rtol=1e-12
        )


def test_weighted_quantile_loss_is_the_one_of_gluonts() -> None:
    from gluonts.evaluation.metrics import quantile_loss

    generator = np.random.default_rng(0)
    y, forecast = generator.normal(size=50), generator.normal(size=50)
    for level in (0.1, 0.5, 0.9):
        ours = pinball(torch.tensor(forecast)[:, None], torch.tensor(y), [level]).sum()
        assert float(ours) == pytest.approx(quantile_loss(y, forecast, level))


def test_quantiles_of_samples_are_those_of_numpy() -> None:
    samples = np.random.default_rng(0).normal(size=(3, 17, 2))
    ours = quantiles_of_ranked(torch.tensor(samples).sort(dim=1).values, QUANTILES)
    np.testing.assert_allclose(
        ours, np.quantile(samples, QUANTILES, axis=1, method="weibull").swapaxes(0, 1), rtol=1e-12
    )


def test_central_intervals_of_samples_hold_as_often_as_they_say() -> None:
    """Another draw of the same distribution is inside with the level's probability exactly.

    Uniform on [0, 1] the chance of the next draw being below a quantile is the quantile itself.
    """
    drawn = torch.rand(20_000, 39, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    levels = torch.tensor(QUANTILES, dtype=torch.float64)
    below = quantiles_of_ranked(drawn.sort(dim=1).values, QUANTILES).mean(0)
    # five standard errors of a median of 39, the widest of them
    torch.testing.assert_close(below, levels, rtol=0, atol=5 * 0.078 / math.sqrt(20_000))


def test_levels_are_those_of_the_competitions() -> None:
    """Every twentieth and every tenth; the ends of the central 95 % beside them."""
    assert LEVELS_9 == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    halves = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
    assert sorted((*LEVELS_9, *halves)) == list(LEVELS_19)
    assert sorted((*LEVELS_19, 0.025, 0.975)) == list(QUANTILES)


def test_quantiles_reach_from_the_least_sample_to_the_greatest() -> None:
    ranked = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64).view(1, 4, 1)
    assert quantiles_of_ranked(ranked, (0.0, 0.5, 1.0)).flatten().tolist() == [1, 3, 8]
    assert quantiles_of_ranked(ranked[:, 2:], (0.0, 0.5, 1.0)).flatten().tolist() == [4, 6, 8]
    assert quantiles_of_ranked(ranked[:, 3:], (0.0, 0.3, 1.0)).flatten().tolist() == [8, 8, 8]


def test_energy_score_is_that_of_what_is_observed() -> None:
    samples, y = torch.randn(4, 6, 2, 3).double(), torch.randn(4, 2, 3).double()
    mask = torch.ones_like(y)
    mask[:, 1, 1:] = 0
    kept = [0, 1, 2, 3]
    expected = energy_score(
        samples.flatten(2)[:, :, kept], y.flatten(1)[:, kept], torch.ones(4, 4).double()
    )
    torch.testing.assert_close(energy_score(samples, y, mask), expected)


def test_one_pair_gives_a_seasonal_error_and_none_that_of_neighbours() -> None:
    values = np.array([[1.0], [2.0], [4.0], [9.0]])
    assert seasonal_errors(values, 3).tolist() == [8.0]
    assert seasonal_errors(values, 4).tolist() == [8 / 3]
    values[1] = np.nan
    assert seasonal_errors(values, 2).tolist() == [3.0]


def test_the_rounding_of_a_pattern_that_repeats_is_no_seasonal_error() -> None:
    t = np.arange(700)[:, None]
    values = 500 + 50 * np.sin(2 * np.pi * t / 7)
    assert 0 < np.abs(values[7:] - values[:-7]).max() < 1e-10
    assert seasonal_errors(values, 7).tolist() == [0.0]
    assert 4e-9 < seasonal_errors(values + 1e-9 * t, 7)[0] < 1e-8


def test_seasonal_error_is_the_one_of_gluonts_and_leaves_out_what_is_missing() -> None:
    from gluonts.ev.ts_stats import seasonal_error

    values = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(seasonal_errors(values, 7), seasonal_error(values, 7)[0], rtol=1e-12)
    np.testing.assert_allclose(
        seasonal_errors(values, 99), seasonal_error(values, 99)[0], rtol=1e-12
    )
    values[[3, 20], 1] = np.nan
    values[:, 2] = np.nan
    found = seasonal_errors(values, 7)
    assert found[1] == pytest.approx(np.nanmean(np.abs(values[7:, 1] - values[:-7, 1])))
    assert np.isnan(found[2])


def test_symmetric_percentage_lies_between_0_and_2() -> None:
    forecast, y = torch.tensor([0.0, 1.0, 1.0, -1.0]), torch.tensor([0.0, 0.0, 3.0, 1.0])
    assert symmetric_percentage(forecast, y).tolist() == [0, 2, 1, 2]


def test_pit_of_the_true_distribution_is_even() -> None:
    y = ((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000).view(1, -1)
    uniform = torch.tensor(QUANTILES, dtype=torch.float64).view(1, -1, 1).expand(1, -1, 1000)
    found = pit_histogram(*pit_range(uniform, y, (0.0, *QUANTILES, 1.0)), bins=20).sum((0, 1))
    np.testing.assert_allclose(found, 50, atol=1.01)


def test_rank_histogram_counts_the_samples_below_and_shares_out_ties() -> None:
    ranked = torch.tensor([[1.0, 2.0, 2.0, 3.0]], dtype=torch.float64).view(1, 4, 1)
    edges = [i / 5 for i in range(6)]
    shares = {}
    for value in (0.0, 1.5, 2.0, 9.0):
        low, high = pit_range(ranked, torch.tensor([[value]], dtype=torch.float64), edges)
        shares[value] = pit_histogram(low, high, bins=5)[0, 0]
    np.testing.assert_allclose(shares[0.0], [1, 0, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(shares[1.5], [0, 1, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(shares[2.0], [0, 1 / 3, 1 / 3, 1 / 3, 0], atol=1e-12)
    np.testing.assert_allclose(shares[9.0], [0, 0, 0, 0, 1], atol=1e-12)


def test_ranks_of_exchangeable_samples_are_even() -> None:
    torch.manual_seed(0)
    drawn = torch.randn(40_000, 10, 1, dtype=torch.float64)
    low, high = pit_range(drawn[:, :9].sort(dim=1).values, drawn[:, 9], [i / 10 for i in range(11)])
    counts = pit_histogram(low, high, 10).sum((0, 1))
    assert (
        float(((counts - 4000) ** 2 / 4000).sum()) < 27.9
    )  # χ² of 9 degrees of freedom, one in a thousand
    assert len(LEVELS_19) == 19
