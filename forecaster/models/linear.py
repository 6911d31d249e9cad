"""Linear layers over time (Zeng et al., AAAI 2023), for point forecasts and for quantiles."""

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.models.adjusted import Adjustment, plus
from forecaster.models.base import Forecaster, Loss, Shape, masked_mean
from forecaster.models.levels import LEVELS, Levels, SortedLayers, between, draw
from forecaster.models.point import NormalisedForecaster
from forecaster.models.scoring_rules import pinball
from forecaster.networks.norms import Norm


class LinearConfig(PartConfig):
    """A linear layer over time, shared by the channels.

    ``norm: last`` is NLinear, ``norm: standard`` RLinear.
    """

    name: Literal["linear"] = "linear"
    norm: Norm = "last"
    loss: Loss = "mse"


@register("forecaster", LinearConfig)
class Linear(NormalisedForecaster):
    """A linear map L → P + H, shared by the channels, of the normalised window."""

    def __init__(self, config: LinearConfig, shape: Shape) -> None:
        super().__init__(config.norm, config.loss, shape)
        self.layer = nn.Linear(shape.lookback, shape.label + shape.horizon)
        # initialised as in Zeng et al.: the average of the window
        nn.init.constant_(self.layer.weight, 1 / shape.lookback)

    def predict_normalised(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        out: Tensor = self.layer(past)
        return out


class QuantileLinearConfig(PartConfig):
    """A linear layer per quantile, without crossing."""

    name: Literal["quantile-linear"] = "quantile-linear"
    norm: Norm = "standard"
    levels: Levels = LEVELS


@register("forecaster", QuantileLinearConfig)
class QuantileLinear(Forecaster):
    """A linear layer for each quantile level, sorted over them so that quantiles never cross."""

    distribution = "quantiles"

    def __init__(self, config: QuantileLinearConfig, shape: Shape) -> None:
        super().__init__()
        self.config = config
        self.layer = SortedLayers(shape.lookback, shape.horizon, config.levels)
        self.adjustment = Adjustment(shape)

    def _trained_quantiles(self, batch: Batch) -> Float[Tensor, "B Q K H"]:
        adjusted, effects = self.adjustment(batch)
        return plus(self.layer.quantiles(adjusted, self.config.norm), effects)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Twice the pinball loss, averaged over the levels."""
        errors = pinball(self._trained_quantiles(batch), batch.future, self.config.levels)
        return masked_mean(errors.mean(1), batch.future_mask)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The median."""
        return self.quantiles(batch, [0.5])[:, 0]

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        return between(self._trained_quantiles(batch), self.config.levels, levels)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return draw(self._trained_quantiles(batch), self.config.levels, draws)
