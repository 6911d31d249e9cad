"""The formulas of the metrics, entry by entry; ``accumulate.py`` sums them over windows.

All are in the units of their arguments: z-scores for the benchmark data sets, otherwise the file's
units.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

LEVELS_19 = tuple(round(0.05 * i, 2) for i in range(1, 20))
LEVELS_9 = tuple(round(0.1 * i, 1) for i in range(1, 10))
CENTRAL = (50, 80, 90, 95)
# the levels requested of a quantile forecaster: the 19 of the loss and the ends of the central
# intervals
QUANTILES = tuple(sorted({*LEVELS_19, 0.025, 0.975}))
# the variogram score's exponent, as Scheuerer and Hamill (2015) recommend
P = 0.5


def symmetric_percentage(
    forecast: Float[Tensor, "*n"], y: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """2|y − ŷ| / (|y| + |ŷ|), from 0 to 2; 0 where both are 0."""
    size = y.abs() + forecast.abs()
    return 2 * (forecast - y).abs() / torch.where(size > 0, size, 1.0)


def variogram_terms(
    samples: Float[Tensor, "B S K H"], y: Float[Tensor, "B K H"], mask: Float[Tensor, "B K H"]
) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """The variogram score's sum over observed pairs of channels by lead time, and their number.

    Σ_{i<j} (|y_i − y_j|^p − mean_s|x_i − x_j|^p)² with p = 0.5 and the weight 1 for every pair
    (Scheuerer and Hamill, 2015); the metric ``variogram`` is the mean over pairs. Channels are
    compared one by one with those after them, so that the memory is that of the samples.
    """
    total, pairs = y.new_zeros(len(y), y.shape[2]), y.new_zeros(len(y), y.shape[2])
    for i in range(y.shape[1] - 1):
        expected = (
            (samples[:, :, i : i + 1] - samples[:, :, i + 1 :]).abs().pow(P).mean(1)
        )  # (B, K−i−1, H)
        observed = (y[:, i : i + 1] - y[:, i + 1 :]).abs().pow(P)
        both = mask[:, i : i + 1] * mask[:, i + 1 :]
        total += ((observed - expected) ** 2 * both).sum(1)
        pairs += both.sum(1)
    return total, pairs


def interval_score(
    low: Float[Tensor, "*n"], high: Float[Tensor, "*n"], y: Float[Tensor, "*n"], percent: int
) -> Float[Tensor, "*n"]:
    """The interval score (Winkler, 1972): the width, and 2/α times the distance of y outside it."""
    alpha = 1 - percent / 100
    return high - low + (2 / alpha) * ((low - y).clamp(min=0) + (y - high).clamp(min=0))


def pit_range(
    ranked: Float[Tensor, "B Q *n"], y: Float[Tensor, "B *n"], edges: Sequence[float]
) -> tuple[Float[Tensor, "B *n"], Float[Tensor, "B *n"]]:
    """Bounds of the PIT of y, from quantiles or samples in ascending order.

    ``edges`` (Q + 2): 0, the probability at each value, 1. Ties, such as zeros of rainfall, span
    several of them.
    """
    table = torch.tensor(edges, dtype=y.dtype, device=y.device)
    low, high = (ranked < y[:, None]).sum(1), (ranked <= y[:, None]).sum(1)
    return table[low], table[high + 1]


def pit_histogram(
    low: Float[Tensor, "*n"], high: Float[Tensor, "*n"], bins: int
) -> Float[Tensor, "*n bins"]:
    """Each entry's mass of 1, uniform between ``low`` and ``high``, in equal bins.

    The non-randomised PIT histogram of Czado, Gneiting and Held (2009). With m + 1 bins for m
    samples it is the rank histogram.
    """
    edges = torch.arange(bins + 1, dtype=low.dtype, device=low.device) / bins
    return ((edges - low[..., None]) / (high - low)[..., None]).clamp(0, 1).diff(dim=-1)
