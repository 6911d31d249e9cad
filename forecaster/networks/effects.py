"""What covariates add to a series, learnt with the forecaster of what remains."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_WIDTH = 128


class CovariateEffects(nn.Module):
    """Additive effects of known, past and static features, which are 0 at first.

    Those of the known ones at a time, with the static ones, are the same function (a network of one
    hidden layer) in the history and in the future. Past ones have a linear map over time that all
    share, and a weight a channel; static ones a linear map to the steps of the future.
    """

    def __init__(
        self, channels: int, lookback: int, horizon: int, known: int, past: int, static: int
    ) -> None:
        super().__init__()
        self.lookback, self.horizon, self.channels = lookback, horizon, channels
        self.known = _network(known + static, channels) if known else None
        self.linear = _zero(nn.Linear(known, channels, bias=False)) if known else None
        self.over_time = nn.Linear(lookback, horizon) if past else None
        self.weights = nn.Parameter(torch.zeros(channels, past)) if past else None
        self.static = _zero(nn.Linear(static, channels * horizon, bias=False)) if static else None

    def forward(
        self,
        known: Float[Tensor, "B C T"],
        past: Float[Tensor, "B P L"],
        static: Float[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B K L"], Float[Tensor, "B K H"]]:
        """The effects in the history and in the future."""
        nothing = static.new_zeros(len(static), self.channels, self.lookback + self.horizon)
        before, ahead = nothing.split([self.lookback, self.horizon], dim=2)
        if self.known is not None and self.linear is not None:
            at_times = known.transpose(1, 2)  # (B, L+H, C)
            groups = static[:, None].expand(-1, at_times.shape[1], -1)
            both = self.known(torch.cat([at_times, groups], dim=2)) + self.linear(at_times)
            before, ahead = both.transpose(1, 2).split([self.lookback, self.horizon], dim=2)
        if self.over_time is not None and self.weights is not None:
            ahead = ahead + self.weights @ self.over_time(past)
        if self.static is not None:
            ahead = ahead + self.static(static).unflatten(1, (self.channels, self.horizon))
        return before, ahead


def _network(inputs: int, outputs: int) -> nn.Sequential:
    """A hidden layer whose units bend at places all over the range of z-scores, and the output."""
    first = nn.Linear(inputs, _WIDTH)
    nn.init.normal_(first.weight, std=inputs**-0.5)
    nn.init.uniform_(first.bias, -3.0, 3.0)
    last = _zero(nn.Linear(_WIDTH, outputs, bias=False))
    return nn.Sequential(first, nn.GELU(), last)


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    return layer
