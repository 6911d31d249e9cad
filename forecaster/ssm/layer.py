"""The interface of the state-space layers, on which forecasters and denoisers are built."""

from typing import Protocol

from jaxtyping import Float
from torch import Tensor


class Layer(Protocol):
    """A causal linear map from H features to H·M, with a state that summarises the past.

    ``rate`` multiplies the step Δ, so a layer trained at one sampling interval can be applied to a
    series sampled ``rate`` times more coarsely. States are opaque tensors, returned by ``initial``,
    ``run`` and ``step``. ``run`` on two parts of a sequence, or ``run`` and then ``step``, gives
    what ``forward`` gives on the whole.
    """

    def __call__(self, u: Float[Tensor, "B H L"], rate: float = 1.0) -> Float[Tensor, "B HM L"]:
        """The training path: the output for a whole sequence, from rest."""
        ...

    def run(
        self, u: Float[Tensor, "B H L"], state: Tensor | None = None, rate: float = 1.0
    ) -> tuple[Float[Tensor, "B HM L"], Tensor]:
        """The output from ``state`` (rest if None), and the state after the last input."""
        ...

    def step(
        self, u: Float[Tensor, "B H"], state: Tensor, rate: float = 1.0
    ) -> tuple[Float[Tensor, "B HM"], Tensor]:
        """One step of the recurrence; its cost does not depend on how long the past is."""
        ...

    def initial(self, batch: int) -> Tensor:
        """The state at rest."""
        ...
