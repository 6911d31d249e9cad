"""Proper scores of sample paths as a training loss, missing values left out."""

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.config.model_config import SamplesObjective
from forecaster.evaluation.metrics import crps_from_samples, energy_score
from forecaster.models.base import masked_mean


def sample_score(
    paths: Float[Tensor, "B S K M"],
    y: Float[Tensor, "B K M"],
    mask: Float[Tensor, "B K M"],
    weights: SamplesObjective,
) -> Float[Tensor, ""]:
    """The weighted sum of the energy score by the root of a window's values, the CRPS, and the CRPS
    of the channels' sum by K.

    So scaled all three are of the size of one value's error. Each is proper: the true distribution
    has the lowest expectation (Gneiting and Raftery, 2007).
    """
    y = torch.where(mask > 0, y, 0.0)
    terms = []
    if weights.energy > 0:
        seen = mask.flatten(1).sum(1)
        terms.append(
            weights.energy
            * masked_mean(
                energy_score(paths, y, mask) / seen.clamp(min=1).sqrt(), (seen > 0).float()
            )
        )
    if weights.crps > 0:
        terms.append(weights.crps * masked_mean(crps_from_samples(paths, y), mask))
    if weights.crps_sum > 0:
        whole = (mask > 0).all(1).to(mask.dtype)
        terms.append(
            weights.crps_sum
            * masked_mean(crps_from_samples(paths.sum(2), y.sum(1)) / y.shape[1], whole)
        )
    return torch.stack(terms).sum()
