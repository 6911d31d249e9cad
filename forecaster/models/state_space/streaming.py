"""A state-space model and what it remembers of a history."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Float64
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Distribution, StreamingState
from forecaster.models.state_space.heads import Head
from forecaster.networks import running
from forecaster.networks.norms import Frame


@dataclass(frozen=True)
class Memory:
    """All that is known of B histories: the layers' states, the last position's features, and the
    running moments.
    """

    states: tuple[Tensor, ...]
    features: Float[Tensor, "N W"]
    moments: Float64[Tensor, "3 B K"]

    @property
    def frame(self) -> Frame:
        """Level and scale at the last position."""
        level, scale = running.level_scale(self.moments, self.features)
        return Frame(level[..., None], scale[..., None])


@runtime_checkable
class Recurrent(Protocol):
    """What a memory is read on with."""

    head: Head
    distribution: Distribution

    def update(
        self, values: Float[Tensor, "B K"], mask: Float[Tensor, "B K"], memory: Memory
    ) -> Memory:
        """The memory after one more row."""

    def emit(self, features: Float[Tensor, "N W"], window: Frame) -> Float[Tensor, "B P K M"]:
        """The head's numbers at the position of these features."""

    def roll(self, memory: Memory) -> Float[Tensor, "B K H"]:
        """The H rows that follow."""


class RecurrentState(StreamingState):
    """A memory that is read on with, row after row; its forecasts are those of the history."""

    distribution: Distribution = "none"

    def __init__(self, model: Recurrent, memory: Memory) -> None:
        super().__init__()
        self.model, self.memory, self.distribution = model, memory, model.distribution

    def update(self, values: Float[Tensor, "B K"], mask: Float[Tensor, "B K"]) -> None:
        self.memory = self.model.update(values, mask, self.memory)

    def _numbers(self) -> Float[Tensor, "B P K M"]:
        return self.model.emit(self.memory.features, self.memory.frame)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        return self.model.roll(self.memory)

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        return self.model.head.quantiles(self._numbers(), levels)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        return self.model.head.sample(self._numbers(), draws)
