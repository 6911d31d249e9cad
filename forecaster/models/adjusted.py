"""Batches without the effects of their covariates, and forecasts with them again."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.data.windows import Batch
from forecaster.models.base import Shape
from forecaster.networks.conditions import CovariateInputs
from forecaster.networks.dense import ProjectedCovariates
from forecaster.networks.effects import CovariateEffects

_READERS = (CovariateEffects, CovariateInputs, ProjectedCovariates)


class Adjustment(nn.Module):
    """Takes the effects of covariates out of a history; without any it changes nothing.

    A forecaster of what remains, plus the effects in the future, is a regression on the covariates
    whose errors are forecast, and learnt in one.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        sizes = shape.covariates
        self.label, self.horizon = shape.label, shape.horizon
        self.effects = (
            CovariateEffects(
                shape.channels, shape.lookback, shape.horizon, sizes.known, sizes.past, sizes.static
            )
            if sizes
            else None
        )

    def forward(self, batch: Batch) -> tuple[Batch, Float[Tensor, "B K M"] | None]:
        """The batch without effects in its history, and those of label and horizon (None: 0)."""
        if self.effects is None:
            return batch, None
        given = batch.covariates
        assert given is not None
        before, ahead = self.effects(given.known, given.past, given.static)
        past = (batch.past - before) * batch.past_mask
        label = before[..., before.shape[2] - self.label :]
        return replace(batch, past=past), torch.cat([label, ahead], dim=2)


def uses_covariates(model: nn.Module) -> bool:
    """Whether a model, or a part of it, reads the covariates of a batch."""
    return any(isinstance(part, _READERS) for part in model.modules())


def plus(values: Float[Tensor, "*n K M"], effects: Float[Tensor, "B K M"] | None) -> Tensor:
    """Forecasts (B, K, M), or several of each window (B, n, K, M), with the effects again."""
    if effects is None:
        return values
    return values + (effects if values.ndim == effects.ndim else effects[:, None])
