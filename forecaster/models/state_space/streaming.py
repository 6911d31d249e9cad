"""The recurrent state of a state-space model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Float64
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.models.adjusted import Adjustment, plus
from forecaster.models.base import Distribution, StreamingState
from forecaster.models.outlook import Centre
from forecaster.models.state_space.heads import Head
from forecaster.networks import running_norm
from forecaster.networks.norms import WindowScale


@dataclass(frozen=True)
class Memory:
    """The state after B histories: layer states, features of the last position, running moments."""

    states: tuple[Tensor, ...]
    features: Float[Tensor, "N W"]
    moments: Float64[Tensor, "3 B K"]

    @property
    def window_scale(self) -> WindowScale:
        """Level and scale at the last position."""
        level, scale = running_norm.level_scale(self.moments, self.features)
        return WindowScale(level[..., None], scale[..., None])


@runtime_checkable
class Recurrent(Protocol):
    """A model that updates a memory and forecasts from it."""

    head: Head
    adjustment: Adjustment
    distribution: Distribution
    centre: Centre

    def update(
        self, values: Float[Tensor, "B K"], mask: Float[Tensor, "B K"], memory: Memory
    ) -> Memory:
        """The memory after one more row."""

    def emit(self, features: Float[Tensor, "N W"], window: WindowScale) -> Float[Tensor, "B P K M"]:
        """The head's parameters at the position of these features, in z-scores."""

    def roll(self, memory: Memory) -> Float[Tensor, "B K H"]:
        """The forecast of the next H rows."""


class RecurrentState(StreamingState):
    """A memory updated row by row; its forecasts equal those from the whole history.

    It is that of the values without the effects of covariates, which come with each batch.
    """

    distribution: Distribution = "none"

    def __init__(self, model: Recurrent, memory: Memory) -> None:
        super().__init__()
        self.model, self.memory = model, memory
        self.distribution, self.centre = model.distribution, model.centre

    def update(self, batch: Batch) -> None:
        adjusted, _ = self.model.adjustment(batch)
        values, mask = adjusted.past[..., -1], adjusted.past_mask[..., -1]
        self.memory = self.model.update(values, mask, self.memory)

    def _head_parameters(self) -> Float[Tensor, "B P K M"]:
        return self.model.emit(self.memory.features, self.memory.window_scale)

    def _ahead(self, batch: Batch) -> Float[Tensor, "B K H"] | None:
        """The effects of covariates in the future."""
        _, effects = self.model.adjustment(batch)
        return None if effects is None else effects[..., -batch.future.shape[2] :]

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return plus(self.model.roll(self.memory), self._ahead(batch))

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        found = self.model.head.quantiles(self._head_parameters(), levels)
        return plus(found, self._ahead(batch))

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return plus(self.model.head.sample(self._head_parameters(), draws), self._ahead(batch))
