"""Point and sample metrics, summed over windows one batch at a time, missing values left out.

All are on the scale of what is given: z-scores for the benchmark data sets, the file's own units otherwise.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

LEVELS_19 = tuple(round(0.05 * i, 2) for i in range(1, 20))
CENTRAL = (50, 80, 90, 95)
# what is asked of a model that gives quantiles: the 19 levels of the loss and the ends of the central intervals
QUANTILES = tuple(sorted({*LEVELS_19, 0.025, 0.975}))


def crps_from_samples(samples: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"]) -> Float[Tensor, "B *n"]:
    """The fair (unbiased) CRPS of m samples: mean|X − y| − Σ_i Σ_j |X_i − X_j| / (2m(m−1)), by sorting in O(m log m)."""
    m = samples.shape[1]
    ranked = samples.sort(dim=1).values
    weights = (2 * torch.arange(1, m + 1, device=samples.device, dtype=samples.dtype) - m - 1) / (m * (m - 1))
    spread = torch.einsum("bs...,s->b...", ranked, weights)
    return (samples - y[:, None]).abs().mean(1) - spread


def energy_score(samples: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"], mask: Float[Tensor, "B *n"]) -> Tensor:
    """The fair energy score (B,) of m joint paths: mean‖X − y‖ − Σ_i Σ_j ‖X_i − X_j‖ / (2m(m−1)), over what is observed.

    Gneiting and Raftery (2007). The norm is Euclidean over all channels and lead times of a window.
    """
    m = samples.shape[1]
    paths, truth = (samples * mask[:, None]).flatten(2), (y * mask).flatten(1)
    spread = torch.cdist(paths, paths, compute_mode="donot_use_mm_for_euclid_dist").sum((1, 2)) / (2 * m * (m - 1))
    return torch.linalg.vector_norm(paths - truth[:, None], dim=2).mean(1) - spread


def pinball(quantiles: Float[Tensor, "B Q *n"], y: Float[Tensor, "B *n"], levels: Sequence[float]) -> Tensor:
    """Twice the quantile loss of each level, (B, Q, …)."""
    error = y[:, None] - quantiles
    tau = torch.tensor(levels, device=y.device, dtype=y.dtype).view(1, -1, *[1] * (y.ndim - 1))
    return 2 * torch.maximum(tau * error, (tau - 1) * error)


class Totals:
    """Sums and weights of each metric."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}

    def add(self, name: str, values: Tensor, mask: Tensor) -> None:
        """Add the observed entries of ``values``."""
        values = torch.where(mask > 0, values.double(), 0.0)
        self.add_ratio(name, float(values.sum()), float(mask.double().sum()))

    def add_ratio(self, name: str, numerator: float, denominator: float) -> None:
        """Add to a metric that is the ratio of two sums."""
        self._sums[name] = self._sums.get(name, 0.0) + numerator
        self._weights[name] = self._weights.get(name, 0.0) + denominator

    def means(self) -> dict[str, float]:
        """Each metric over all that was added; metrics without one observed value are left out."""
        return {name: self._sums[name] / self._weights[name] for name in self._sums if self._weights[name] > 0}


def add_point(totals: Totals, forecast: Float64[Tensor, "B K H"], y: Tensor, mask: Tensor) -> None:
    """mse, mae (rmse follows from mse)."""
    totals.add("mse", (forecast - y) ** 2, mask)
    totals.add("mae", (forecast - y).abs(), mask)


def add_samples(totals: Totals, samples: Float64[Tensor, "B S K H"], y: Tensor, mask: Tensor) -> None:
    """The scores of paths, and what follows from the samples' quantiles."""
    add_path_scores(totals, samples, y, mask)
    levels = torch.tensor(QUANTILES, dtype=samples.dtype, device=samples.device)
    add_quantiles(totals, samples.quantile(levels, dim=1).transpose(0, 1), y, mask)


def add_path_scores(totals: Totals, samples: Float64[Tensor, "B S K H"], y: Tensor, mask: Tensor) -> None:
    """crps; crps_sum, where all channels are observed; energy, over the windows with an observed value."""
    totals.add("crps", crps_from_samples(samples, y), mask)
    together = (mask > 0).all(1).to(mask.dtype)
    totals.add("crps_sum", crps_from_samples(samples.sum(2), y.sum(1)), together)
    totals.add("energy", energy_score(samples, torch.where(mask > 0, y, 0.0), mask.to(y.dtype)), mask.flatten(1).amax(1))


def add_quantiles(totals: Totals, quantiles: Float64[Tensor, "B Q K H"], y: Tensor, mask: Tensor) -> None:
    """wql (mean weighted quantile loss, 19 levels .05….95), coverage/p and width/p of the central p % intervals.

    ``quantiles`` are at the levels ``QUANTILES``.
    """
    index = {level: i for i, level in enumerate(QUANTILES)}
    losses = pinball(quantiles[:, [index[level] for level in LEVELS_19]], y, LEVELS_19).mean(1)
    observed = mask > 0
    totals.add_ratio("wql", float(losses[observed].sum()), float(y[observed].abs().sum()))
    for percent in CENTRAL:
        tail = round(0.5 - percent / 200, 3)
        low, high = quantiles[:, index[tail]], quantiles[:, index[round(1 - tail, 3)]]
        totals.add(f"coverage/{percent}", ((low <= y) & (y <= high)).to(y.dtype), mask)
        totals.add(f"width/{percent}", high - low, mask)
