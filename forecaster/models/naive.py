"""The forecaster that every other one has to beat: the value one season ago."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig, Positive
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models.base import Shape
from forecaster.models.prior import PointForecaster


class SeasonalNaiveConfig(PartConfig):
    """The value one season ago. ``season`` in steps; by default the interval's own."""

    name: Literal["seasonal-naive"] = "seasonal-naive"
    season: Positive | None = None


@register("forecaster", SeasonalNaiveConfig)
class SeasonalNaive(PointForecaster):
    """The last observed value at the same place in the season; the last observed value where there
    is none.
    """

    def __init__(self, config: SeasonalNaiveConfig, shape: Shape) -> None:
        super().__init__()
        if shape.label:
            raise UserError(
                "model.label: seasonal naive gives no label; set it to 0, or take another prior"
            )
        self.season = shape.season if config.season is None else config.season
        self.horizon = shape.horizon

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K H"]:
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
