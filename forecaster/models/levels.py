"""Quantile forecasts at fixed levels: validation, a layer, interpolation and draws."""

from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor, nn

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws, generator
from forecaster.errors import UserError
from forecaster.networks.norms import Norm, window_scale

# the default levels of a quantile forecast
LEVELS = (0.005, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.995)


def check_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Validate that levels increase strictly in (0, 1) and cover 0.025 to 0.975."""
    if not levels or list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1:
        raise ValueError("quantile levels rise strictly between 0 and 1")
    if levels[0] > 0.025 or levels[-1] < 0.975:
        raise ValueError("levels have to reach from 0.025 to 0.975, which the metrics ask for")
    return levels


Levels = Annotated[tuple[float, ...], AfterValidator(check_levels)]


class SortedLayers(nn.Linear):
    """A linear map over time, L → M, for each of Q levels, its outputs sorted over the levels.

    Sorting is the monotone rearrangement of Chernozhukov, Fernández-Val and Galichon (2010): it
    never raises the pinball loss.
    """

    def __init__(self, lookback: int, steps: int, levels: Sequence[float]) -> None:
        super().__init__(lookback, steps * len(levels))
        self.steps = steps
        nn.init.constant_(self.weight, 1 / lookback)
        # initialised with the quantiles of a normal distribution, in the window's units
        self.bias.data = torch.distributions.Normal(0.0, 1.0).icdf(
            torch.tensor(levels).repeat(steps)
        )

    def forward(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M Q"]:
        """The sorted outputs; sorting is faster where the levels lie side by side."""
        return super().forward(past).unflatten(2, (self.steps, -1)).sort(dim=-1).values

    def quantiles(self, batch: Batch, norm: Norm) -> Float[Tensor, "B Q K M"]:
        """The quantiles of windows, which are normalised by ``norm``."""
        window = window_scale(batch.past, batch.past_mask, norm)
        levels = self(window.apply(batch.past) * batch.past_mask).movedim(3, 1)
        return levels * window.scale[:, None] + window.level[:, None]


def between(
    quantiles: Float[Tensor, "B Q K H"], trained: Sequence[float], levels: Sequence[float]
) -> Float[Tensor, "B Q2 K H"]:
    """Quantiles at any levels within the trained ones, interpolated linearly."""
    for level in levels:
        if not trained[0] <= level <= trained[-1]:
            raise UserError(
                f"--quantiles: {level} lies outside the levels that the model was trained for, "
                f"{trained[0]} to {trained[-1]}"
            )
    knots = torch.tensor(trained, dtype=torch.float64)
    targets = torch.tensor(list(levels), dtype=torch.float64)
    above = torch.searchsorted(knots, targets).clamp(1, len(trained) - 1)
    below = above - 1
    share = ((targets - knots[below]) / (knots[above] - knots[below])).clamp(0, 1)
    weight = share.to(quantiles)[:, None, None]
    return torch.lerp(
        quantiles[:, below.to(quantiles.device)], quantiles[:, above.to(quantiles.device)], weight
    )


def draw(
    quantiles: Float[Tensor, "B Q K H"], trained: Sequence[float], draws: Draws
) -> Float[Tensor, "B S K H"]:
    """Inverse transform sampling of the marginals, independent in time and channel.

    The distribution function is interpolated linearly; draws outside the trained levels are the
    outermost quantiles.
    """
    levels = torch.tensor(trained)
    drawn = []
    for row, seed in zip(quantiles, draws.seeds, strict=True):
        u = torch.rand(draws.samples, *row.shape[1:], generator=generator(seed, "levels"))
        above = torch.searchsorted(levels, u).clamp(1, len(levels) - 1)
        below = above - 1
        share = ((u - levels[below]) / (levels[above] - levels[below])).clamp(0, 1).to(row)
        drawn.append(
            torch.lerp(
                row.gather(0, below.to(row.device)), row.gather(0, above.to(row.device)), share
            )
        )
    return torch.stack(drawn)
