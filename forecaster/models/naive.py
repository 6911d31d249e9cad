"""The forecaster that every other one has to beat: the value one season ago."""

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.models.base import Forecaster


class SeasonalNaive(Forecaster):
    """The last observed value at the same place in the season; the last observed value where there
    is none.
    """

    def __init__(self, season: int, horizon: int) -> None:
        super().__init__()
        self.season, self.horizon = season, horizon

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The forecast; with a lookback shorter than the season it is the last observed value."""
        lookback = batch.past.shape[2]
        times = torch.arange(1, lookback + 1, device=batch.past.device, dtype=batch.past.dtype)
        newest = (batch.past_mask * times).argmax(2, keepdim=True)
        length = self.season if self.season <= lookback else 1
        season = batch.past.gather(2, newest).repeat(
            1, 1, length
        )  # (B, K, season), by distance from the end
        for first in range(
            lookback % self.season, lookback, self.season
        ):  # oldest first: newer ones lie over it
            values = batch.past[..., first : first + self.season]
            season = torch.where(
                batch.past_mask[..., first : first + self.season] > 0, values, season
            )
        return season.repeat(1, 1, -(-self.horizon // length))[..., : self.horizon]

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """Nothing is trained, so nothing is watched."""
        return batch.past.new_zeros(())
