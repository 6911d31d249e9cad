"""Priors: forecasters that a bridge can start from."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from forecaster.config.parts import implementation
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.base import Forecaster, masked_mean


@runtime_checkable
class Prior(Protocol):
    """A forecaster of label and horizon, M = P + H steps, in z-scores."""

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The point forecast."""

    def sample_with_label(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """Sample paths; a point model repeats its forecast."""


class PointForecaster(Forecaster):
    """A point forecaster that can be a prior. ``label``: P, its steps before the horizon."""

    label = 0

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """The point forecast of label and horizon, in z-scores."""
        raise NotImplementedError

    def sample_with_label(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K M"]:
        """The point forecast, repeated ``draws.samples`` times."""
        return self.predict_with_label(batch)[:, None].expand(-1, draws.samples, -1, -1)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.predict_with_label(batch)[..., self.label :]


class Composite(PointForecaster):
    """A point forecaster made of others, its ``parts``, each of them a stage of the training."""

    @property
    def parts(self) -> list[PointForecaster]:
        """The point forecasters that it is made of."""
        raise NotImplementedError

    def stages(self) -> list[Forecaster]:
        return [stage for part in self.parts for stage in (*part.stages(), part)]

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The mean absolute error of the forecast."""
        return masked_mean((self.predict(batch) - batch.future).abs(), batch.future_mask)


def check_prior(config: PartConfig, key: str, point: bool) -> None:
    """Raise UserError unless a model can build on this forecaster; ``point``: of points only."""
    kind = implementation(config)
    name = config.name
    if not (isinstance(kind, type) and issubclass(kind, Prior)):
        raise UserError(f"{key}: {name} gives no label, so nothing is built on it; name another")
    output = getattr(config, "output", "point")
    if output != "point":
        raise UserError(f"{key}.output: {output} cannot be built on; set it to point")
    if point and getattr(kind, "distribution", "none") != "none":
        raise UserError(f"{key}: {name} gives samples; name a forecaster of points")
