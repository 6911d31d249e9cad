"""The coordinates that a path runs in: the window's own, or those of the prior's residual.

A frame is that of one batch of windows. In it the prior's forecast is ``h``; ``enter`` and
``leave`` map paths in z-scores to it and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecaster.diffusion.drawing import generator
from forecaster.models.copula.forecaster import Chart
from forecaster.networks.norms import WindowScale


@runtime_checkable
class Frame(Protocol):
    """The coordinates of a batch of windows."""

    @property
    def h(self) -> Float[Tensor, "B K M"]:
        """The prior's forecast."""

    @property
    def seen(self) -> Float[Tensor, "B K M"]:
        """The prior's forecast in the units of the window."""

    def enter(
        self, y: Float[Tensor, "B K M"], mask: Float[Tensor, "B K M"], seeds: Sequence[int]
    ) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        """The coordinates of paths in z-scores, and the weight of each in a loss."""

    def weigh(self, errors: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        """Errors of predicted paths as they count in a loss."""

    def leave(self, y: Float[Tensor, "n K M"], rows: Int[Tensor, " n"]) -> Float[Tensor, "n K M"]:
        """Paths in z-scores; ``rows``: the number of the window of each."""

    def point(self, y: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        """The forecast in z-scores, one a window, of a walk without noise."""


@dataclass(frozen=True)
class SeriesFrame:
    """The units of each window; h is the forecast of the prior."""

    window: WindowScale
    h: Float[Tensor, "B K M"]

    @property
    def seen(self) -> Float[Tensor, "B K M"]:
        return self.h

    def enter(
        self, y: Float[Tensor, "B K M"], mask: Float[Tensor, "B K M"], seeds: Sequence[int]
    ) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        return self.window.apply(y) * mask, mask

    def weigh(self, errors: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        """They are those of z-scores."""
        return errors * self.window.scale

    def leave(self, y: Float[Tensor, "n K M"], rows: Int[Tensor, " n"]) -> Float[Tensor, "n K M"]:
        return y * self.window.scale[rows] + self.window.level[rows]

    def point(self, y: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        return self.window.invert(y)


@dataclass(frozen=True)
class ResidualFrame:
    """The residual's coordinates, in which it is white noise and h is 0."""

    chart: Chart
    window: WindowScale

    @property
    def h(self) -> Float[Tensor, "B K M"]:
        return torch.zeros_like(self.chart.centre)

    @property
    def seen(self) -> Float[Tensor, "B K M"]:
        return self.window.apply(self.chart.centre)

    def enter(
        self, y: Float[Tensor, "B K M"], mask: Float[Tensor, "B K M"], seeds: Sequence[int]
    ) -> tuple[Float[Tensor, "B K M"], Float[Tensor, "B K M"]]:
        """A window counts as far as it is observed: missing values are drawn from the copula."""
        if bool((mask > 0).all()):
            return self.chart.noise(y), mask
        drawn = [torch.randn(y.shape[1:], generator=generator(seed, "missing")) for seed in seeds]
        path = torch.where(mask > 0, y, self.chart.path(torch.stack(drawn).to(y)))
        return self.chart.noise(path), mask.mean((1, 2), keepdim=True).expand_as(y)

    def weigh(self, errors: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        return self.chart.law.correlation.weigh(errors)

    def leave(self, y: Float[Tensor, "n K M"], rows: Int[Tensor, " n"]) -> Float[Tensor, "n K M"]:
        return self.chart.of(rows).path(y)

    def point(self, y: Float[Tensor, "B K M"]) -> Float[Tensor, "B K M"]:
        return self.chart.mean(y)
