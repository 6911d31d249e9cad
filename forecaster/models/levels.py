"""Forecasts that are quantiles at fixed levels: the loss, levels in between, and draws."""

from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor

from forecaster.diffusion.drawing import Draws, generator
from forecaster.errors import UserError

# the levels of a quantile forecast
LEVELS = (0.005, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.995)


def check_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse levels that do not rise strictly between 0 and 1, or leave out what metrics need."""
    if not levels or list(levels) != sorted(set(levels)) or not 0 < levels[0] <= levels[-1] < 1:
        raise ValueError("quantile levels rise strictly between 0 and 1")
    if levels[0] > 0.025 or levels[-1] < 0.975:
        raise ValueError("levels have to reach from 0.025 to 0.975, which the metrics ask for")
    return levels


Levels = Annotated[tuple[float, ...], AfterValidator(check_levels)]


def between(
    quantiles: Float[Tensor, "B Q K H"], own: Sequence[float], levels: Sequence[float]
) -> Float[Tensor, "B Q2 K H"]:
    """Any levels between the lowest and the highest of one's own, interpolated linearly."""
    for level in levels:
        if not own[0] <= level <= own[-1]:
            raise UserError(
                f"--quantiles: {level} lies outside the levels that the model was trained for, "
                f"{own[0]} to {own[-1]}"
            )
    known = torch.tensor(own, dtype=torch.float64)
    asked = torch.tensor(list(levels), dtype=torch.float64)
    above = torch.searchsorted(known, asked).clamp(1, len(own) - 1)
    below = above - 1
    share = ((asked - known[below]) / (known[above] - known[below])).clamp(0, 1)
    weight = share.to(quantiles)[:, None, None]
    return torch.lerp(
        quantiles[:, below.to(quantiles.device)], quantiles[:, above.to(quantiles.device)], weight
    )


def draw(
    quantiles: Float[Tensor, "B Q K H"], own: Sequence[float], draws: Draws
) -> Float[Tensor, "B S K H"]:
    """Draws by the inverse of the interpolated distribution function, independent in time and
    channel.

    The model knows marginals only; below its lowest and above its highest level it gives that
    quantile itself.
    """
    levels = torch.tensor(own)
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
