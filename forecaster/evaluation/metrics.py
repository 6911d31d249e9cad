"""The formulas of the metrics, entry by entry; ``totals.py`` sums them over windows.

All are on the scale of what is given: z-scores for the benchmark data sets, the file's own units
otherwise.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

LEVELS_19 = tuple(round(0.05 * i, 2) for i in range(1, 20))
LEVELS_9 = tuple(round(0.1 * i, 1) for i in range(1, 10))
CENTRAL = (50, 80, 90, 95)
# what is asked of a model that gives quantiles: the 19 levels of the loss and the ends of the
# central intervals
QUANTILES = tuple(sorted({*LEVELS_19, 0.025, 0.975}))
# the variogram score's exponent, as Scheuerer and Hamill recommend
P = 0.5


def seasonal_errors(values: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    """MASE's scale (K,): the mean |y_t − y_{t−season}| of training rows (n, K), nan where no such
    pair is observed.

    Hyndman and Koehler (2006). Without any pair at that distance, as in GluonTS, neighbouring rows
    are taken.
    """
    lag = season if season < len(values) else 1
    steps = np.abs(values[lag:] - values[:-lag])
    counts = (~np.isnan(steps)).sum(axis=0)
    return np.where(counts > 0, np.nansum(steps, axis=0) / np.maximum(counts, 1), np.nan)


def symmetric_percentage(
    forecast: Float[Tensor, "*n"], y: Float[Tensor, "*n"]
) -> Float[Tensor, "*n"]:
    """2|y − ŷ| / (|y| + |ŷ|), from 0 to 2; 0 where both are 0."""
    size = y.abs() + forecast.abs()
    return 2 * (forecast - y).abs() / torch.where(size > 0, size, 1.0)


def crps_from_samples(
    samples: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"]
) -> Float[Tensor, "B *n"]:
    """The fair (unbiased) CRPS of m samples: mean|X − y| − Σ_i Σ_j |X_i − X_j| / (2m(m−1)), by
    sorting in O(m log m).
    """
    return crps_from_ranked(samples.sort(dim=1).values, y)


def crps_from_ranked(
    ranked: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"]
) -> Float[Tensor, "B *n"]:
    """The same of samples in rising order."""
    m = ranked.shape[1]
    weights = (2 * torch.arange(1, m + 1, device=ranked.device, dtype=ranked.dtype) - m - 1) / (
        m * (m - 1)
    )
    spread = torch.einsum("bs...,s->b...", ranked, weights)
    return (ranked - y[:, None]).abs().mean(1) - spread


def quantiles_of_ranked(
    ranked: Float[Tensor, "B S *n"], levels: Sequence[float]
) -> Float[Tensor, "B Q *n"]:
    """Quantiles of samples in rising order, interpolated linearly as numpy does it."""
    place = torch.tensor(levels, dtype=torch.float64, device=ranked.device) * (ranked.shape[1] - 1)
    below = place.floor().long()
    share = (place - below).to(ranked.dtype).view(1, -1, *[1] * (ranked.ndim - 2))
    return torch.lerp(
        ranked[:, below], ranked[:, (below + 1).clamp(max=ranked.shape[1] - 1)], share
    )


def energy_score(
    samples: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"], mask: Float[Tensor, "B *n"]
) -> Tensor:
    """The fair energy score (B,) of m joint paths: mean‖X − y‖ − Σ_i Σ_j ‖X_i − X_j‖ / (2m(m−1)),
    over what is observed.

    Gneiting and Raftery (2007). The norm is Euclidean over all channels and lead times of a window.
    """
    m = samples.shape[1]
    paths, truth = (samples * mask[:, None]).flatten(2), (y * mask).flatten(1)
    spread = torch.cdist(paths, paths, compute_mode="donot_use_mm_for_euclid_dist").sum((1, 2)) / (
        2 * m * (m - 1)
    )
    return torch.linalg.vector_norm(paths - truth[:, None], dim=2).mean(1) - spread


def variogram_terms(
    samples: Float[Tensor, "B S K H"], y: Float[Tensor, "B K H"], mask: Float[Tensor, "B K H"]
) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
    """The variogram score's sum over the observed pairs of channels i < j at each lead time, and
    their number.

    Σ (|y_i − y_j|^p − mean_s|x_i − x_j|^p)² with p = 0.5 and the weight 1 for every pair (Scheuerer
    and Hamill, 2015); the metric ``variogram`` is the mean over pairs. One channel at a time is
    compared with those behind it: the memory is that of the samples.
    """
    total, pairs = y.new_zeros(len(y), y.shape[2]), y.new_zeros(len(y), y.shape[2])
    for i in range(y.shape[1] - 1):
        expected = (
            (samples[:, :, i : i + 1] - samples[:, :, i + 1 :]).abs().pow(P).mean(1)
        )  # (B, K−i−1, H)
        seen = (y[:, i : i + 1] - y[:, i + 1 :]).abs().pow(P)
        both = mask[:, i : i + 1] * mask[:, i + 1 :]
        total += ((seen - expected) ** 2 * both).sum(1)
        pairs += both.sum(1)
    return total, pairs


def pinball(
    quantiles: Float[Tensor, "B Q *n"], y: Float[Tensor, "B *n"], levels: Sequence[float]
) -> Tensor:
    """Twice the quantile loss of each level, (B, Q, …)."""
    error = y[:, None] - quantiles
    tau = torch.tensor(levels, device=y.device, dtype=y.dtype).view(1, -1, *[1] * (y.ndim - 1))
    return 2 * torch.maximum(tau * error, (tau - 1) * error)


def interval_score(
    low: Float[Tensor, "*n"], high: Float[Tensor, "*n"], y: Float[Tensor, "*n"], percent: int
) -> Float[Tensor, "*n"]:
    """The interval score (Winkler, 1972) of a central interval: its width, and 2/α times what the
    truth lies outside it.
    """
    alpha = 1 - percent / 100
    return high - low + (2 / alpha) * ((low - y).clamp(min=0) + (y - high).clamp(min=0))


def pit_range(
    ranked: Float[Tensor, "B Q *n"], y: Float[Tensor, "B *n"], edges: Sequence[float]
) -> tuple[Float[Tensor, "B *n"], Float[Tensor, "B *n"]]:
    """Between which probabilities the truth's PIT lies, from quantiles or samples in rising order.

    ``edges`` (Q + 2): 0, the probability at each value, 1. Ties, such as dry days, span several of
    them.
    """
    table = torch.tensor(edges, dtype=y.dtype, device=y.device)
    low, high = (ranked < y[:, None]).sum(1), (ranked <= y[:, None]).sum(1)
    return table[low], table[high + 1]


def pit_histogram(
    low: Float[Tensor, "*n"], high: Float[Tensor, "*n"], bins: int
) -> Float[Tensor, "*n bins"]:
    """Each entry's mass of 1 over equal bins, spread evenly between ``low`` and ``high`` (Czado,
    Gneiting and Held, 2009).

    Of m samples, m + 1 bins give the rank histogram.
    """
    edges = torch.arange(bins + 1, dtype=low.dtype, device=low.device) / bins
    return ((edges - low[..., None]) / (high - low)[..., None]).clamp(0, 1).diff(dim=-1)
