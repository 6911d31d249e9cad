"""A forecast of one's own, a column of the file, as a forecaster."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models.base import Shape
from forecaster.models.prior import PointForecaster


class OwnForecastConfig(PartConfig):
    """A forecast of one's own, as it is: the columns that ``data.prior_column`` names."""

    name: Literal["own"] = "own"


@register("forecaster", OwnForecastConfig)
class OwnForecast(PointForecaster):
    """The column's values at the times of the forecast; it has no weights."""

    def __init__(self, config: OwnForecastConfig, shape: Shape) -> None:
        super().__init__()
        if not shape.covariates.own:
            raise UserError(
                "model: own is the forecast of a column; name it with --prior-column, or choose "
                "another model"
            )
        self.steps, self.label = shape.label + shape.horizon, shape.label

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Nothing is trained."""
        return batch.past.new_zeros(())

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        assert batch.covariates is not None
        return batch.covariates.own[..., -self.steps :]
