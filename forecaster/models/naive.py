"""The seasonal naive baseline: the value one season ago."""

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
    """The value one season ago. ``season`` in steps, by default the main one of the data."""

    name: Literal["seasonal-naive"] = "seasonal-naive"
    season: Positive | None = None


@register("forecaster", SeasonalNaiveConfig)
class SeasonalNaive(PointForecaster):
    """The last observed value of the same phase of the season, else the last observed value."""

    def __init__(self, config: SeasonalNaiveConfig, shape: Shape) -> None:
        super().__init__()
        if shape.label:
            raise UserError(
                "model.label: seasonal naive gives no label; set it to 0, or take another prior"
            )
        self.season = shape.season if config.season is None else config.season
        self.horizon = shape.horizon

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K H"]:
        """The forecast; the last observed value if the lookback is shorter than the season."""
        lookback = batch.past.shape[2]
        times = torch.arange(1, lookback + 1, device=batch.past.device, dtype=batch.past.dtype)
        newest = (batch.observed * times).argmax(2, keepdim=True)
        length = self.season if self.season <= lookback else 1
        season = batch.past.gather(2, newest).repeat(1, 1, length)  # (B, K, season)
        for first in range(
            lookback % self.season, lookback, self.season
        ):  # newer values replace older ones
            values = batch.past[..., first : first + self.season]
            season = torch.where(
                batch.observed[..., first : first + self.season] > 0, values, season
            )
        return season.repeat(1, 1, -(-self.horizon // length))[..., : self.horizon]

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """0: there is nothing to train."""
        return batch.past.new_zeros(())
