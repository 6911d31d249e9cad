"""One linear layer over time (Zeng et al., AAAI 2023), for the mean or the median, and one a
quantile.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.model_config import LinearConfig, QuantileLinearConfig
from forecaster.data.windows import Batch
from forecaster.models.base import Draws, Forecaster, masked_mean
from forecaster.models.levels import between, check_levels, draw, pinball
from forecaster.models.point import PointModel
from forecaster.networks.norms import frame


class Linear(PointModel):
    """L → P + H, shared by the channels, inside a window normalisation."""

    def __init__(self, config: LinearConfig, lookback: int, horizon: int, label: int = 0) -> None:
        super().__init__(config.norm, config.loss, label)
        self.layer = nn.Linear(lookback, label + horizon)
        # the start of Zeng et al.: the plain average of the window
        nn.init.constant_(self.layer.weight, 1 / lookback)

    def outlook(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        """One matrix."""
        out: Tensor = self.layer(past)
        return out


class QuantileLinear(Forecaster):
    """A linear layer a quantile level; sorted over the levels, so quantiles never cross.

    Sorting is the monotone rearrangement of Chernozhukov, Fernández-Val and Galichon (2010): it
    never raises the loss.
    """

    distribution = "quantiles"

    def __init__(self, config: QuantileLinearConfig, lookback: int, horizon: int) -> None:
        super().__init__()
        check_levels(config.levels)
        self.config, self.horizon = config, horizon
        self.layer = nn.Linear(lookback, len(config.levels) * horizon)
        nn.init.constant_(self.layer.weight, 1 / lookback)
        # a start with the spread of a normal distribution, in the window's own units
        levels = torch.tensor(config.levels).repeat(horizon)
        self.layer.bias.data = torch.distributions.Normal(0.0, 1.0).icdf(levels)

    def _own(self, batch: Batch) -> Float[Tensor, "B Q K H"]:
        window = frame(batch.past, batch.past_mask, self.config.norm)
        out = window.invert(self.layer(window.apply(batch.past) * batch.past_mask))
        # (B, K, H, Q): sorting is faster where the levels lie side by side
        return out.unflatten(2, (self.horizon, -1)).sort(dim=-1).values.permute(0, 3, 1, 2)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Twice the pinball loss, averaged over the levels."""
        errors = pinball(self._own(batch), batch.future, self.config.levels)
        return masked_mean(errors, batch.future_mask[:, None].expand_as(errors))

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The median."""
        return self.quantiles(batch, [0.5])[:, 0]

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """Any levels between the lowest and the highest trained one, interpolated linearly."""
        return between(self._own(batch), self.config.levels, levels)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Draws from the marginals, independent in time and channel."""
        return draw(self._own(batch), self.config.levels, draws)
