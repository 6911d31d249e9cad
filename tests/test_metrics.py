"""Metrics against a library, closed forms, and the indifference to what is missing."""

import math

import numpy as np
import pytest
import scoringrules
import torch

from forecaster.metrics import (
    QUANTILES,
    Totals,
    add_point,
    add_quantiles,
    add_samples,
    crps_from_samples,
    energy_score,
    pinball,
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
    ours = energy_score(torch.tensor(samples), torch.tensor(y), torch.ones(5, 2, 3, dtype=torch.float64))
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


def test_weighted_quantile_loss_is_the_one_of_gluonts() -> None:
    from gluonts.evaluation.metrics import quantile_loss

    generator = np.random.default_rng(0)
    y, forecast = generator.normal(size=50), generator.normal(size=50)
    for level in (0.1, 0.5, 0.9):
        ours = pinball(torch.tensor(forecast)[:, None], torch.tensor(y), [level]).sum()
        assert float(ours) == pytest.approx(quantile_loss(y, forecast, level))


def test_coverage_and_width_of_known_intervals() -> None:
    uniform = torch.tensor(QUANTILES, dtype=torch.float64).view(1, -1, 1, 1).expand(1, -1, 1, 1000)
    y = ((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000).view(1, 1, -1)
    totals = Totals()
    add_quantiles(totals, uniform.contiguous(), y, torch.ones_like(y))
    found = totals.means()
    for percent in (50, 80, 90, 95):
        assert found[f"coverage/{percent}"] == pytest.approx(percent / 100, abs=2e-3)
        assert found[f"width/{percent}"] == pytest.approx(percent / 100)


def test_missing_values_change_nothing() -> None:
    torch.manual_seed(0)
    y, mask = torch.randn(4, 2, 6, dtype=torch.float64), torch.ones(4, 2, 6, dtype=torch.float64)
    mask[1, :, 2:] = 0
    samples = torch.randn(4, 30, 2, 6, dtype=torch.float64)
    results = []
    for filler in (0.0, 1e6):
        totals, seen = Totals(), torch.where(mask > 0, y, filler)
        add_samples(totals, samples, seen, mask)
        add_point(totals, samples.mean(1), seen, mask)
        results.append(totals.means())
    assert results[0] == results[1]
    whole = Totals()
    keep = [0, 2, 3]
    add_point(whole, samples[keep].mean(1), y[keep], mask[keep])
    add_point(whole, samples[[1]].mean(1)[..., :2], y[[1]][..., :2], mask[[1]][..., :2])
    assert whole.means()["mse"] == pytest.approx(results[0]["mse"])


def test_batches_add_up() -> None:
    torch.manual_seed(0)
    y, samples = torch.randn(6, 2, 5, dtype=torch.float64), torch.randn(6, 9, 2, 5, dtype=torch.float64)
    one, parts = Totals(), Totals()
    add_samples(one, samples, y, torch.ones_like(y))
    for rows in ([0, 1], [2, 3, 4, 5]):
        add_samples(parts, samples[rows], y[rows], torch.ones_like(y[rows]))
    assert one.means() == pytest.approx(parts.means())
