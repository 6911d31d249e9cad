"""One linear layer over time (Zeng et al., AAAI 2023), for the mean or the median, and one a quantile."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.model_config import LinearConfig, QuantileLinearConfig
from forecaster.models.base import Draws, Forecaster, masked_mean
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

    Sorting is the monotone rearrangement of Chernozhukov, Fernández-Val and Galichon (2010): it never raises the loss.
    """

    distribution = "quantiles"

    def __init__(self, config: QuantileLinearConfig, lookback: int, horizon: int) -> None:
        super().__init__()
        if list(config.levels) != sorted(set(config.levels)) or not 0 < config.levels[0] <= config.levels[-1] < 1:
            raise UserError("model.levels: quantile levels rise strictly between 0 and 1; correct them")
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
        error = batch.future[:, None] - self._own(batch)  # (B, Q, K, H)
        tau = torch.tensor(self.config.levels, device=error.device, dtype=error.dtype)[:, None, None]
        pinball = 2 * torch.maximum(tau * error, (tau - 1) * error)
        return masked_mean(pinball, batch.future_mask[:, None].expand_as(pinball))

    def point(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The median."""
        return self.quantiles(batch, [0.5])[:, 0]

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """Any levels between the lowest and the highest trained one, interpolated linearly."""
        own = self.config.levels
        for level in levels:
            if not own[0] <= level <= own[-1]:
                raise UserError(
                    f"--quantiles: {level} lies outside the levels that the model was trained for, {own[0]} to {own[-1]}"
                )
        known = torch.tensor(own, dtype=torch.float64)
        asked = torch.tensor(list(levels), dtype=torch.float64)
        above = torch.searchsorted(known, asked).clamp(1, max(len(own) - 1, 1)) if len(own) > 1 else asked.long() * 0
        below = (above - 1).clamp(min=0)
        share = ((asked - known[below]) / (known[above] - known[below]).clamp(min=1e-12)).clamp(0, 1)
        values = self._own(batch)
        weight = share.to(values)[:, None, None]
        return torch.lerp(values[:, below.to(values.device)], values[:, above.to(values.device)], weight)

    def samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Draws by the inverse of the interpolated distribution function, independent in time and channel.

        The model knows marginals only; below its lowest and above its highest level it gives that quantile itself.
        """
        own = self._own(batch)  # (B, Q, K, H)
        levels = torch.tensor(self.config.levels)
        drawn = []
        for row, seed in zip(own, draws.seeds, strict=True):
            generator = torch.Generator().manual_seed(seed)
            u = torch.rand(draws.samples, *row.shape[1:], generator=generator)
            above = torch.searchsorted(levels, u).clamp(1, len(levels) - 1) if len(levels) > 1 else u.long()
            below = (above - 1).clamp(min=0)
            share = ((u - levels[below]) / (levels[above] - levels[below]).clamp(min=1e-12)).clamp(0, 1).to(row)
            drawn.append(torch.lerp(row.gather(0, below.to(row.device)), row.gather(0, above.to(row.device)), share))
        return torch.stack(drawn)
