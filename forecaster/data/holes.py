"""Missing values of a history, put in so that a model sees what it learnt from: whole histories.

A value is the mean, plus what each season adds at its place, of those that come round twice in a
lookback, plus the interpolation of what that leaves, an autoregressive process of order one:
towards 0 far off any value, and all the slower, the more neighbours are alike. A history shorter
than the lookback is one with missing values before it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

# the largest autocorrelation, nearly a random walk
_LARGEST = 0.999


def fill(
    past: Float[Tensor, "B K L"], mask: Float[Tensor, "B K L"], seasons: Sequence[int]
) -> tuple[Float[Tensor, "B K L"], Float[Tensor, "B K L"]]:
    """Whole histories, and their mask, which is 0 where a channel has no value at all.

    ``past`` is 0 where ``mask`` is; ``seasons`` in steps. Values that are there stay as they are.
    """
    count = mask.sum(2)  # far faster than the least and the greatest
    holed = (count > 0) & (count < mask.shape[2])  # (B, K)
    if not bool(holed.any()):
        return past, mask
    values, known = past[holed], mask[holed]
    whole = past.clone()
    whole[holed] = torch.where(known > 0, values, _estimates(values, known, seasons))
    return whole, torch.maximum(mask, holed[..., None].to(mask))


def _estimates(
    values: Float[Tensor, "n L"], known: Float[Tensor, "n L"], seasons: Sequence[int]
) -> Float[Tensor, "n L"]:
    """An estimate of each value of n histories, of which each has one at least."""
    profile = ((values * known).sum(1) / known.sum(1))[:, None].expand_as(values)
    for season in sorted(seasons):
        if 1 < season <= values.shape[1] // 2:
            profile = profile + _by_phase((values - profile) * known, known, season)
    return profile + _between((values - profile) * known, known)


def _by_phase(
    rest: Float[Tensor, "n L"], known: Float[Tensor, "n L"], season: int
) -> Float[Tensor, "n L"]:
    """The mean of the values at the same place in a season; 0 where there is none."""
    phase = (torch.arange(rest.shape[1], device=rest.device) % season).expand(len(rest), -1)
    totals, counts = (
        rest.new_zeros(len(rest), season).scatter_add(1, phase, each) for each in (rest, known)
    )
    return (totals / counts.clamp(min=1)).gather(1, phase)


def _between(rest: Float[Tensor, "n L"], known: Float[Tensor, "n L"]) -> Float[Tensor, "n L"]:
    """The best linear estimates from the values before and after, of an AR(1) process."""
    length = rest.shape[1]
    steps = torch.arange(length, device=rest.device).expand_as(rest)
    before = torch.where(known > 0, steps, -1).cummax(1).values
    after = torch.where(known > 0, steps, length).flip(1).cummin(1).values.flip(1)
    left, right = (rest.gather(1, place.clamp(0, length - 1)) for place in (before, after))
    # a value that is missing is infinitely far away
    far = torch.inf
    to_left = torch.where(before >= 0, (steps - before).to(rest), far)
    to_right = torch.where(after < length, (after - steps).to(rest), far)
    rho = _autocorrelation(rest, known)
    near_left, near_right = rho**to_left, rho**to_right
    total = (1 - (near_left * near_right) ** 2).clamp(min=torch.finfo(rest.dtype).eps)
    return (
        near_left * (1 - near_right**2) * left + near_right * (1 - near_left**2) * right
    ) / total


def _autocorrelation(
    rest: Float[Tensor, "n L"], known: Float[Tensor, "n L"]
) -> Float[Tensor, "n 1"]:
    """That of neighbours, 0 to nearly 1; 0 where no two are known."""
    both = known[:, 1:] * known[:, :-1]
    product = (rest[:, 1:] * rest[:, :-1] * both).sum(1)
    square = ((rest[:, 1:] ** 2 + rest[:, :-1] ** 2) * both).sum(1) / 2
    return (product / square.clamp(min=torch.finfo(rest.dtype).tiny)).clamp(0, _LARGEST)[:, None]
