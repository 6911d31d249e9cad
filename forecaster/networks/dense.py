"""Dense residual blocks, and covariates projected by them (Das et al., TMLR 2023)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class DenseBlock(nn.Module):
    """One hidden layer beside a linear map, over the last axis; ``norm``: normalised after."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, dropout: float, norm: bool = True
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs), nn.Dropout(dropout)
        )
        self.skip = nn.Linear(inputs, outputs)
        self.norm = nn.LayerNorm(outputs) if norm else nn.Identity()

    def forward(self, x: Float[Tensor, "*n I"]) -> Float[Tensor, "*n O"]:
        out: Tensor = self.norm(self.hidden(x) + self.skip(x))
        return out


class ProjectedCovariates(nn.Module):
    """Covariates as features: ``width`` W for the known and the past ones at each step.

    ``features``: F, those of a window. ``at_steps``: those of the known ones at a step, W or 0.
    """

    def __init__(
        self,
        lookback: int,
        horizon: int,
        known: int,
        past: int,
        static: int,
        width: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.known = DenseBlock(known, hidden, width, dropout, norm=False) if known else None
        self.past = DenseBlock(past, hidden, width, dropout, norm=False) if past else None
        self.at_steps = width if known else 0
        of_past = width * lookback if past else 0
        self.features = self.at_steps * (lookback + horizon) + of_past + static

    def forward(
        self,
        known: Float[Tensor, "B C T"],
        past: Float[Tensor, "B P L"],
        static: Float[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B F"], Float[Tensor, "B T W"]]:
        """The features of the windows, and those of the known ones at each step."""
        steps, features = known.new_zeros(len(known), known.shape[2], 0), [static]
        if self.known is not None:
            steps = self.known(known.transpose(1, 2))
        if self.past is not None:
            features.append(self.past(past.transpose(1, 2)).flatten(1))
        return torch.cat([steps.flatten(1), *features], dim=1), steps
