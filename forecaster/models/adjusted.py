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
    whose errors are forecast, and learnt in one. A forecast of one's own is an effect, too: what is
    forecast is what it misses. ``learnt``: whether the others are learnt here.
    """

    def __init__(self, shape: Shape, learnt: bool = True) -> None:
        super().__init__()
        sizes = shape.covariates
        self.label = shape.label
        self.effects = (
            CovariateEffects(
                shape.channels, shape.lookback, shape.horizon, sizes.known, sizes.past, sizes.static
            )
            if sizes.learnt and learnt
            else None
        )
        self.own = bool(sizes.own)

    @property
    def active(self) -> bool:
        """Whether there is any effect."""
        return self.own or self.effects is not None

    def forward(self, batch: Batch) -> tuple[Batch, Float[Tensor, "B K M"] | None]:
        """The batch without effects in its history, and those of label and horizon (None: 0)."""
        if not self.active:
            return batch, None
        given = batch.covariates
        assert given is not None
        before, ahead = torch.zeros_like(batch.past), torch.zeros_like(batch.future)
        if self.effects is not None:
            before, ahead = self.effects(given.known, given.past, given.static)
        if self.own:
            lookback = batch.past.shape[2]
            before, ahead = before + given.own[..., :lookback], ahead + given.own[..., lookback:]
        past = (batch.past - before) * batch.past_mask
        label = before[..., before.shape[2] - self.label :]
        return replace(batch, past=past), torch.cat([label, ahead], dim=2)


def uses_covariates(model: nn.Module) -> bool:
    """Whether a model, or a part of it, reads the covariates of a batch."""
    return any(
        isinstance(part, _READERS)
        or (isinstance(part, Adjustment) and part.active)
        or getattr(part, "reads_covariates", False)
        for part in model.modules()
    )


def effect_weights(model: nn.Module) -> set[int]:
    """The identities of the weights of additive effects."""
    parts = (part for part in model.modules() if isinstance(part, CovariateEffects))
    return {id(weight) for part in parts for weight in part.parameters()}


def plus(values: Float[Tensor, "*n K M"], effects: Float[Tensor, "B K M"] | None) -> Tensor:
    """Forecasts (B, K, M), or several of each window (B, n, K, M), with the effects again."""
    if effects is None:
        return values
    return values + (effects if values.ndim == effects.ndim else effects[:, None])
