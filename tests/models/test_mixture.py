"""The CRPS of mixtures of sample paths, and the weights that lower it."""

import math

import pytest
import torch

from forecaster.models.mixture import Terms, greedy_weights, shares, terms_of


def _paths(seed: int, mean: float, std: float, count: int = 40, windows: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return mean + std * torch.randn(windows, count, 2, 3, generator=generator)


def test_the_crps_of_a_mixture_is_that_of_its_terms_written_out() -> None:
    ours, theirs = _paths(0, 0.0, 1.0, 20), _paths(1, 1.0, 2.0, 30)
    y = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(y)
    mask[0, 0] = 0
    terms = terms_of([ours, theirs], y, mask)

    seen = mask > 0
    misses = [(each - y[:, None]).abs().mean(1)[seen].mean() for each in (ours, theirs)]
    differences = (ours[:, :, None] - theirs[:, None]).abs().mean((1, 2))[seen].mean()
    within = []
    for each in (ours, theirs):
        m = each.shape[1]
        pairs = (each[:, :, None] - each[:, None]).abs().sum((1, 2)) / (m * (m - 1))
        within.append(pairs[seen].mean())
    for w in (0.0, 0.3, 1.0):
        expected = w * misses[0] + (1 - w) * misses[1]
        expected -= (w**2 * within[0] + (1 - w) ** 2 * within[1]) / 2 + w * (1 - w) * differences
        found = terms.crps(torch.tensor([w, 1 - w], dtype=torch.float64))
        assert found == pytest.approx(float(expected), abs=1e-6)
    assert terms.alone == pytest.approx(
        [float(misses[0] - within[0] / 2), float(misses[1] - within[1] / 2)], abs=1e-6
    )


def test_pairs_of_normal_draws_are_as_far_apart_as_is_known() -> None:
    paths = [_paths(0, 0.0, 1.0, 400, 20), _paths(1, 0.0, 2.0, 400, 20)]
    apart = terms_of(paths, torch.zeros(20, 2, 3), torch.ones(20, 2, 3)).apart
    for (i, j), variance in {(0, 0): 2.0, (1, 1): 8.0, (0, 1): 5.0, (1, 0): 5.0}.items():
        assert float(apart[i, j]) == pytest.approx(math.sqrt(2 * variance / math.pi), rel=0.02)


def test_two_members_that_err_on_either_side_are_mixed_evenly_and_a_worse_one_is_left_out() -> None:
    truth = _paths(9, 0.0, 2.0, 1, 400)[:, 0]
    sides = [_paths(0, -1.0, 1.0, 60, 400), _paths(1, 1.0, 1.0, 60, 400)]
    terms = terms_of([*sides, _paths(2, 9.0, 1.0, 60, 400)], truth, torch.ones_like(truth))
    weights = greedy_weights(terms)
    assert weights.sum() == 1
    assert weights[2] == 0
    assert weights[:2].tolist() == pytest.approx([0.5, 0.5], abs=0.05)
    assert terms.crps(weights) < min(terms.alone)


def test_a_member_that_adds_nothing_has_no_weight() -> None:
    ones = torch.ones(2, 2, dtype=torch.float64)
    assert greedy_weights(Terms(ones[0], ones)).tolist() == [1, 0]


def test_shares_are_the_nearest_whole_numbers_and_sum_up() -> None:
    assert shares([0.5, 0.3, 0.2], 10) == [5, 3, 2]
    assert shares([1.0, 1.0, 1.0], 100) == [34, 33, 33]
    assert shares([0.65, 0.35], 1) == [1, 0]
    assert shares([0.0, 2.0], 7) == [0, 7]
