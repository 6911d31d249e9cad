"""Sizes of error and weights by series, on constructed errors."""

import pytest
import torch

from forecaster.models.series_scales import own_weights, own_windows, size_factors

OWNERS = torch.tensor([0, 0, 0, 1, 1, -1])


def test_windows_without_overlap_are_counted_by_their_span() -> None:
    """Three of series 0 span 20 steps, 2.5 times 8, and two of series 1 touch; 2 has none."""
    times = torch.tensor([100, 104, 112, 50, 58, 7])
    assert own_windows(OWNERS, times, 8, 3).tolist() == [2.5, 2, 0, 0]
    assert own_windows(OWNERS, times * 1000, 8, 3).tolist() == [3, 2, 0, 0]
    assert own_windows(OWNERS, times * 0, 8, 3).tolist() == [1, 1, 0, 0]


def sized(sizes: list[float], owners: torch.Tensor) -> torch.Tensor:
    """Errors of ± the size of their series, two channels, four steps; -1 has size 50."""
    table = torch.tensor([*sizes, 50.0])
    signs = torch.tensor([1.0, -1.0, 1.0, 1.0])
    return table[owners][:, None, None] * torch.tensor([[1.0], [3.0]]) * signs


def test_a_size_is_known_the_better_the_more_windows_there_are() -> None:
    """Sizes 2 and 8, 4 in the geometric mean; the power is n/(n + 2), in both channels."""
    errors = sized([2.0, 8.0], OWNERS)
    for n in (0.5, 2.0, 6.0):
        found = size_factors(errors, OWNERS, torch.tensor([n, 1.0, 0.0]))
        expected = torch.tensor([0.5 ** (n / (n + 2)), 2 ** (1 / 3), 1.0])
        torch.testing.assert_close(found, expected[:, None].expand(3, 2))


def test_what_is_missing_has_no_say_in_a_size() -> None:
    errors, windows = sized([2.0, 8.0], OWNERS), torch.tensor([4.0, 4.0, 0.0])
    found = size_factors(errors, OWNERS, windows)
    errors[0, :, 1:], errors[3] = torch.nan, torch.nan
    torch.testing.assert_close(size_factors(errors, OWNERS, windows), found)
    errors[4, 0] = torch.nan  # nothing of series 1 in channel 0: series 0 is all there is
    gone = size_factors(errors, OWNERS, windows)
    assert gone[:, 0].tolist() == [1, 1, 1]
    torch.testing.assert_close(gone[:, 1], found[:, 1])


@pytest.mark.parametrize("size", [0.0, 1e-20, 0.37, 1e20])
def test_a_single_series_has_the_size_of_all(size: float) -> None:
    owners = torch.tensor([0, 0, 0])
    errors = torch.full((3, 2, 4), size)
    assert size_factors(errors, owners, torch.tensor([3.0, 0.0])).tolist() == [[1, 1], [1, 1]]


def test_sizes_stay_within_ten_times_that_of_all() -> None:
    errors, many = sized([1e-3, 1.0, 1e3], torch.tensor([0, 1, 2])), torch.tensor([1e6] * 3 + [0.0])
    found = size_factors(errors, torch.tensor([0, 1, 2]), many)
    torch.testing.assert_close(found[:, 0], torch.tensor([0.1, 1.0, 10.0, 1.0]))


def test_own_errors_count_first() -> None:
    """n/(n + 16) on top of the share of the rest; n is at most the number of those allowed."""
    owners = torch.tensor([0] * 6 + [1] * 3 + [-1])
    allowed = torch.tensor([[1.0, 1, 1, 1, 0, 0, 1, 1, 0, 1]]).expand(4, -1)
    found = own_weights(allowed, owners, torch.tensor([0, 1, 2, -1]), torch.tensor([4.0, 9, 0, 0]))
    assert torch.equal(found > 0, allowed > 0)
    shares = found / found.sum(1, keepdim=True)
    first, second = 4 / 20, 2 / 18
    torch.testing.assert_close(shares[0, :4].sum(), torch.tensor(first + (1 - first) * 4 / 7))
    torch.testing.assert_close(shares[1, 6:8].sum(), torch.tensor(second + (1 - second) * 2 / 7))
    assert torch.equal(found[2:], allowed[2:])


def test_where_all_errors_are_own_none_counts_more() -> None:
    owners, allowed = torch.tensor([0, 0, 1]), torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    found = own_weights(allowed, owners, torch.tensor([0, 0]), torch.tensor([2.0, 1.0, 0.0]))
    assert torch.equal(found, allowed)
