"""A point forecast plus residual paths from their Gaussian copula."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.sections import Positive
from forecaster.data.wide import of_a_wide_table
from forecaster.data.windows import Batch, Windows
from forecaster.models.base import Precursor, Shape
from forecaster.models.bootstrap.base import ResidualModel, ResidualModelConfig
from forecaster.models.bootstrap.calibrator import Centred
from forecaster.models.copula.law import MOST_NUMBERS, ResidualLaw

# the fewest residual paths of a wide table
_FEWEST_PATHS = 1000


class ResidualCopulaConfig(ResidualModelConfig):
    """A point model plus residual paths from a Gaussian copula: the marginals, scales and
    correlations of its residuals, in place of the residuals themselves.

    ``paths``: the largest number of residual paths that it is fitted on. ``phase_window``: mean and
    size of the residuals are those of phases of the season that differ by at most this number of
    steps (None: of all; ``auto``: 1, in seasons of less than 24 steps 0). All others: see
    ``residual-bootstrap``.
    """

    name: Literal["residual-copula"] = "residual-copula"
    residuals: Literal["train", "validation", "both"] = "train"
    paths: Positive = 4000
    phase_window: Annotated[int, Field(ge=0)] | Literal["auto"] | None = "auto"
    scale: Literal["deviation", "learnt"] = "learnt"
    scale_power: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = "auto"
    spread: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"


@dataclass(frozen=True)
class Chart:
    """The residual's coordinates in a batch of windows: y = centre + size·e(w), w ~ N(0, 1)."""

    law: ResidualLaw
    centre: Float[Tensor, "B K M"]
    size: Float[Tensor, "B K M"]

    def of(self, windows: Int[Tensor, " n"]) -> "Chart":
        """That of windows by number."""
        return Chart(self.law, self.centre[windows], self.size[windows])

    def noise(self, y: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        """w of paths in z-scores."""
        return self.law.noise((y - self.centre) / self.size)

    def path(self, w: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        """The path in z-scores of w."""
        return self.centre + self.size * self.law.errors(w)

    def mean(self, w: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        """The mean path of normal noise of mean w and variance 1."""
        return self.centre + self.size * self.law.mean_errors(w)


@register("forecaster", ResidualCopulaConfig)
class ResidualCopula(ResidualModel):
    """Residual paths from their Gaussian copula: see ``ResidualLaw``."""

    def __init__(self, config: ResidualCopulaConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.copula = ResidualLaw(config.scale, config.phase_window, shape)
        self.copula.power.fill_(self.choices.powers[0])

    @property
    def law(self) -> ResidualLaw:
        return self.copula

    @property
    def most_paths(self) -> int:
        each = self.copula.means[0].numel()
        count = of_a_wide_table(self.config.paths, self.shape.channels, _FEWEST_PATHS)
        return min(count, max(MOST_NUMBERS // each, 1))

    def _hold_out(self, validation: Windows) -> None:
        """Of several series: each one's errors on validation windows tell its size, too."""
        if self.config.residuals == "train" and self.shape.series > 1:
            share = min(self.most_paths / len(validation), 1.0)
            paths, times, _, logs, owners = self._residuals(validation, share, True)
            self.copula.hold_out(paths, times, logs, owners)

    @torch.no_grad()
    def calibrate_after(self, precursor: Precursor) -> None:
        """As of any such model, with the precursor's excess of each series."""
        super().calibrate_after(precursor)
        assert isinstance(precursor.model, ResidualCopula)
        self.copula.excess.copy_(precursor.model.copula.excess)

    def chart(self, batch: Batch, base: Centred | None = None) -> Chart:
        """The residual's coordinates in each window, without the factor ``spread``.

        ``base``: what gives the point forecast in place of the base.
        """
        mean, size = self.copula.spread(batch)
        h = (self.base if base is None else base).predict_with_label(batch)
        return Chart(self.copula, self.widening().centre(h, mean), size)
