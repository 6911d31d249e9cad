"""A bridge's own samples, seen as a point forecast and the paths around it."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws


@runtime_checkable
class Walker(Protocol):
    """A model that walks with noise and without."""

    @property
    def device(self) -> torch.device:
        """Where batches are expected."""

    def reverse_samples(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """Sample paths, in z-scores."""

    def reverse_point(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The point forecast, in z-scores."""


class Walk:
    """What ``Calibrator`` needs to select a spread: base and law are the same model."""

    def __init__(self, model: Walker) -> None:
        self.model = model

    @property
    def device(self) -> torch.device:
        return self.model.device

    def scale_by(self, power: float) -> None:
        """The size of paths is given."""

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        return self.model.reverse_point(batch)

    def draw(
        self, batch: Batch, draws: Draws
    ) -> tuple[Float[Tensor, "B S K M"], Float[Tensor, "B K M"]]:
        """The paths less the point forecast, about which they are widened."""
        point = self.model.reverse_point(batch)
        return self.model.reverse_samples(batch, draws) - point[:, None], torch.zeros_like(point)
