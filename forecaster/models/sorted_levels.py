"""Linear layers for several quantile levels, sorted: a piecewise-linear point forecast."""

from typing import Annotated, Literal

from jaxtyping import Float
from pydantic import AfterValidator
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig, Size
from forecaster.data.windows import Batch
from forecaster.models.adjusted import plus
from forecaster.models.base import Shape, masked_mean, with_label
from forecaster.models.levels import SortedLayers
from forecaster.models.point import NormalisedForecaster
from forecaster.models.scoring_rules import pinball
from forecaster.networks.norms import Norm


def _check_odd(levels: int) -> int:
    if levels % 2 == 0:
        raise ValueError(
            f"an even number has no middle level, which is the forecast; give {levels + 1}"
        )
    return levels


class SortedLevelsConfig(PartConfig):
    """A linear layer over time for each of ``levels`` quantile levels, sorted; their median.

    Its forecast is the middle of the sorted outputs, a piecewise-linear function of the history.
    The levels are evenly spaced; their number is odd, and 1 makes it one linear layer trained on
    absolute error.
    """

    name: Literal["sorted-levels"] = "sorted-levels"
    norm: Norm = "last"
    levels: Annotated[Size, AfterValidator(_check_odd)] = 9


@register("forecaster", SortedLevelsConfig)
class SortedLevels(NormalisedForecaster):
    """The median of linear layers that are trained together on the pinball loss of their levels.

    The forecast of one layer is linear in the normalised history; which of them is in the middle
    depends on the history, as in a network whose activation is sorting (GroupSort: Anil, Lucas and
    Grosse, ICML 2019).
    """

    def __init__(self, config: SortedLevelsConfig, shape: Shape) -> None:
        super().__init__(config.norm, "l1", shape)
        count = config.levels
        self.levels = [(i + 0.5) / count for i in range(count)]
        self.layer = SortedLayers(shape.lookback, shape.label + shape.horizon, self.levels)

    def predict_normalised(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        return self.layer(past)[..., len(self.levels) // 2]

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Twice the pinball loss of label and horizon, averaged over the levels."""
        target, mask = with_label(batch, self.label)
        adjusted, effects = self.adjustment(batch)
        levels = plus(self.layer.quantiles(adjusted, self.norm), effects)
        return masked_mean(pinball(levels, target, self.levels).mean(1), mask)
