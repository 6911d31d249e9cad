"""Proper scoring rules of samples and quantiles, for training and evaluation."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from forecaster.models.base import masked_mean

# a score that is worse than another one by no more than this factor may be so by chance
_CLEARLY = 1.02


def crps_from_samples(
    samples: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"]
) -> Float[Tensor, "B *n"]:
    """The fair (unbiased) CRPS of m samples, by sorting in O(m log m).

    mean|X − y| − Σ_i Σ_j |X_i − X_j| / (2m(m−1)).
    """
    return crps_from_ranked(samples.sort(dim=1).values, y)


def crps_from_ranked(
    ranked: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"]
) -> Float[Tensor, "B *n"]:
    """``crps_from_samples`` of samples in ascending order."""
    m = ranked.shape[1]
    weights = (2 * torch.arange(1, m + 1, device=ranked.device, dtype=ranked.dtype) - m - 1) / (
        m * (m - 1)
    )
    spread = torch.einsum("bs...,s->b...", ranked, weights)
    return (ranked - y[:, None]).abs().mean(1) - spread


def energy_score(
    samples: Float[Tensor, "B S *n"], y: Float[Tensor, "B *n"], mask: Float[Tensor, "B *n"]
) -> Tensor:
    """The fair energy score (B,) of m joint paths, over the observed entries.

    mean‖X − y‖ − Σ_i Σ_j ‖X_i − X_j‖ / (2m(m−1)), Gneiting and Raftery (2007). The norm is the
    Euclidean one over all channels and lead times of a window.
    """
    m = samples.shape[1]
    paths, truth = (samples * mask[:, None]).flatten(2), (y * mask).flatten(1)
    spread = torch.cdist(paths, paths, compute_mode="donot_use_mm_for_euclid_dist").sum((1, 2)) / (
        2 * m * (m - 1)
    )
    return torch.linalg.vector_norm(paths - truth[:, None], dim=2).mean(1) - spread


def quantiles_of_ranked(
    ranked: Float[Tensor, "B S *n"], levels: Sequence[float]
) -> Float[Tensor, "B Q *n"]:
    """Quantiles of m samples in ascending order, with the i-th at the level i/(m + 1).

    One more draw of the same distribution lies below that of level τ with the probability τ, if
    1/(m + 1) ≤ τ ≤ m/(m + 1) (definition 6 of Hyndman and Fan, 1996; numpy's ``weibull``). Further
    out it is the least or the largest sample.
    """
    count = ranked.shape[1]
    position = torch.tensor(levels, dtype=torch.float64, device=ranked.device) * (count + 1) - 1
    position = position.clamp(0, count - 1)
    below = position.floor().long()
    weight = (position - below).to(ranked.dtype).view(1, -1, *[1] * (ranked.ndim - 2))
    return torch.lerp(
        ranked[:, below], ranked[:, (below + 1).clamp(max=ranked.shape[1] - 1)], weight
    )


def pinball(
    quantiles: Float[Tensor, "B Q *n"], y: Float[Tensor, "B *n"], levels: Sequence[float]
) -> Tensor:
    """Twice the quantile (pinball) loss of each level, (B, Q, …).

    2·max(τe, (τ − 1)e) = |e| + (2τ − 1)e, whose gradient takes two thirds of the time.
    """
    error = y[:, None] - quantiles
    tau = torch.tensor(levels, device=y.device, dtype=y.dtype).view(1, -1, *[1] * (y.ndim - 1))
    return error.abs() + (2 * tau - 1) * error


def scores_by_channel(
    paths: Float[Tensor, "B S K M"], y: Float[Tensor, "B K M"], mask: Float[Tensor, "B K M"]
) -> tuple[Float[Tensor, " K"], Float[Tensor, " K"]]:
    """The score of each channel summed over windows, and the number of windows with values.

    A window's is the CRPS of its values plus the energy score of the channel's path, of one value's
    size: all that samples say of a channel by itself.
    """
    y = torch.where(mask > 0, y, 0.0)
    seen = mask.sum(2)
    crps = (crps_from_samples(paths, y) * mask).sum(2) / seen.clamp(min=1)
    alone = paths.transpose(1, 2).flatten(0, 1)  # (B·K, S, M)
    energy = energy_score(alone, y.flatten(0, 1), mask.flatten(0, 1)).view_as(seen)
    found = crps + energy / seen.clamp(min=1).sqrt()
    return (found * (seen > 0)).sum(0), (seen > 0).to(found.dtype).sum(0)


def is_kept(own: Float[Tensor, " K"], without: Float[Tensor, " K"]) -> Bool[Tensor, " K"]:
    """The channels in which what is learnt is kept: its score is not worse than without by more
    than a fiftieth. Most smaller differences have another sign in another half of the windows.

    If these together are worse than without, only what is better is kept. What changes nothing is
    not kept.
    """
    kept = (own <= _CLEARLY * without) & (own != without)
    hurts = (own - without)[kept].sum() > 0
    return own < without if hurts else kept


def sample_score(
    paths: Float[Tensor, "B S K M"],
    y: Float[Tensor, "B K M"],
    mask: Float[Tensor, "B K M"],
    energy: float = 1.0,
    crps: float = 1.0,
    crps_sum: float = 1.0,
    ranked: Float[Tensor, "B S K M"] | None = None,
) -> Float[Tensor, ""]:
    """The weighted sum of energy score, CRPS, and CRPS of the sum over channels.

    The energy score is divided by the root of the number of a window's values and the last CRPS by
    K, so that all three have the size of one value's error. Each is proper: the true distribution
    has the lowest expectation (Gneiting and Raftery, 2007). ``ranked``: the paths in ascending
    order in each entry, if known, as sorting takes most of the time.
    """
    y = torch.where(mask > 0, y, 0.0)
    terms = []
    if energy > 0:
        seen = mask.flatten(1).sum(1)
        by_window = energy_score(paths, y, mask) / seen.clamp(min=1).sqrt()
        terms.append(energy * masked_mean(by_window, (seen > 0).float()))
    if crps > 0:
        ranked = paths.sort(dim=1).values if ranked is None else ranked
        terms.append(crps * masked_mean(crps_from_ranked(ranked, y), mask))
    if crps_sum > 0:
        whole = (mask > 0).all(1).to(mask.dtype)
        by_step = crps_from_samples(paths.sum(2), y.sum(1)) / y.shape[1]
        terms.append(crps_sum * masked_mean(by_step, whole))
    return torch.stack(terms).sum()
