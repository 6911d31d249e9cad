"""Values that are put in where a history misses them."""

import numpy as np
import pytest
import torch

from forecaster.data.holes import fill

L = 56


def histories(values: np.ndarray, known: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """(1, 1, L) each; values are 0 where they are not known."""
    mask = torch.tensor(known, dtype=torch.float64).view(1, 1, -1)
    return torch.tensor(values).view(1, 1, -1) * mask, mask


def week(length: int = L) -> np.ndarray:
    return np.tile(np.array([3.0, 1, 4, 1, 5, 9, 2]), length // 7 + 1)[:length]


def test_whole_histories_stay_as_they_are() -> None:
    past = torch.randn(3, 2, L)
    mask = torch.ones_like(past)
    found = fill(past, mask, [7])
    assert found[0] is past
    assert found[1] is mask


def test_what_is_known_stays_and_other_channels_do() -> None:
    past, mask = torch.randn(4, 3, L), (torch.rand(4, 3, L) < 0.6).float()
    mask[2] = 1
    past = past * mask
    whole, known = fill(past, mask, [7])
    assert torch.equal(whole[mask > 0], past[mask > 0])
    assert torch.equal(whole[2], past[2])
    assert known.all()
    assert not (mask > 0).all()


@pytest.mark.parametrize("kept", [7, 8, 20, 55])
def test_a_short_history_repeats_its_season_backwards(kept: int) -> None:
    past, mask = histories(week(), np.arange(L) >= L - kept)
    whole, _ = fill(past, mask, [7])
    np.testing.assert_allclose(whole[0, 0], week(), atol=1e-9)


def test_the_newest_values_are_put_in_as_well() -> None:
    past, mask = histories(week(), np.arange(L) < L - 10)
    np.testing.assert_allclose(fill(past, mask, [7])[0][0, 0], week(), atol=1e-9)


def test_seasons_in_seasons_are_taken_together() -> None:
    """A day of 6 steps in a week of 42: from one week and some days, everything follows."""
    day, days = np.arange(6.0), np.repeat([0.0, 0, 0, 0, 0, -8, -9], 6)
    values = np.tile(np.tile(day, 7) + days, 4)
    known = np.arange(len(values)) >= 3 * 42 - 12
    known[-5:-2] = False
    past, mask = histories(values, known)
    np.testing.assert_allclose(fill(past, mask, [42, 6])[0][0, 0], values, atol=1e-9)


def test_a_place_in_the_season_that_was_never_seen_is_the_mean() -> None:
    past, mask = histories(week(), np.arange(L) >= L - 3)
    whole, _ = fill(past, mask, [7])
    unseen = np.arange(L) % 7 < 4
    np.testing.assert_allclose(whole[0, 0][unseen], week()[-3:].mean(), atol=1e-9)
    np.testing.assert_allclose(whole[0, 0][~unseen], week()[~unseen], atol=1e-9)


def test_without_a_season_it_is_the_conditional_mean_of_an_autoregressive_process() -> None:
    rng, n = np.random.default_rng(3), 100
    values = np.zeros(n)
    for t in range(1, n):
        values[t] = 0.9 * values[t - 1] + rng.normal()
    known = rng.random(n) < 0.6
    known[[0, 1, n - 2, n - 1]] = False
    centred = np.where(known, values - values[known].mean(), 0)
    pairs = [(centred[t], centred[t + 1]) for t in range(n - 1) if known[t] and known[t + 1]]
    rho = sum(a * b for a, b in pairs) / sum((a**2 + b**2) / 2 for a, b in pairs)
    assert 0.3 < rho < 0.95
    covariance = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    weights = np.linalg.solve(covariance[np.ix_(known, known)], centred[known])
    oracle = values[known].mean() + covariance[:, known] @ weights
    past, mask = histories(values, known)
    np.testing.assert_allclose(fill(past, mask, [1])[0][0, 0], oracle, atol=1e-9)


def test_values_far_from_a_random_walk_stay_at_its_end() -> None:
    steps = np.random.default_rng(1).normal(size=200).cumsum() + 100
    past, mask = histories(steps, np.arange(200) < 190)
    whole, _ = fill(past, mask, ())
    np.testing.assert_allclose(whole[0, 0, 190], steps[189], atol=0.5)


def test_a_channel_without_any_value_remains_missing() -> None:
    past, mask = torch.randn(1, 2, L), torch.ones(1, 2, L)
    mask[0, 1] = 0
    mask[0, 0, 3] = 0
    whole, known = fill(past * mask, mask, [7])
    assert (known[0, 1] == 0).all()
    assert (whole[0, 1] == 0).all()
    assert known[0, 0].all()


@pytest.mark.parametrize("season", [100, 40, 35])
def test_a_season_that_comes_round_less_than_twice_leaves_neighbours_to_tell(season: int) -> None:
    smooth = np.sin(np.arange(L) / 20)
    known = np.ones(L, bool)
    known[30:34] = False
    past, mask = histories(smooth, known)
    np.testing.assert_allclose(fill(past, mask, [season])[0][0, 0], smooth, atol=0.02)


def test_one_value_is_a_level() -> None:
    past, mask = histories(np.full(L, 5.0), np.arange(L) == 30)
    assert (fill(past, mask, [7])[0] == 5).all()
