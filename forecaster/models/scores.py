"""Proper scores of sample paths as a training loss, missing values left out."""

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.evaluation.metrics import crps_from_samples, energy_score
from forecaster.models.base import masked_mean


def sample_score(
    paths: Float[Tensor, "B S K M"],
    y: Float[Tensor, "B K M"],
    mask: Float[Tensor, "B K M"],
    energy: float = 1.0,
    crps: float = 1.0,
    crps_sum: float = 1.0,
) -> Float[Tensor, ""]:
    """The weighted sum of the energy score by the root of a window's values, the CRPS, and the CRPS
    of the channels' sum by K.

    So scaled all three are of the size of one value's error. Each is proper: the true distribution
    has the lowest expectation (Gneiting and Raftery, 2007).
    """
    y = torch.where(mask > 0, y, 0.0)
    terms = []
    if energy > 0:
        seen = mask.flatten(1).sum(1)
        by_window = energy_score(paths, y, mask) / seen.clamp(min=1).sqrt()
        terms.append(energy * masked_mean(by_window, (seen > 0).float()))
    if crps > 0:
        terms.append(crps * masked_mean(crps_from_samples(paths, y), mask))
    if crps_sum > 0:
        whole = (mask > 0).all(1).to(mask.dtype)
        by_step = crps_from_samples(paths.sum(2), y.sum(1)) / y.shape[1]
        terms.append(crps_sum * masked_mean(by_step, whole))
    return torch.stack(terms).sum()
