"""Network output → ŷ_0. This is the only place that knows what the network predicts."""

from typing import Literal, Protocol

from jaxtyping import Float, Int
from torch import Tensor, nn


class Network(Protocol):
    """A denoising network: y_t, the condition c and h, all (B, K, M), and t (B,) → (B, K, M)."""

    def __call__(self, y_t: Tensor, c: Tensor, h: Tensor, t: Tensor) -> Tensor:
        """The network's output."""
        ...


Predicts = Literal["data", "correction"]


class Denoiser(nn.Module):
    """The network as a predictor of the data: its output is ŷ_0 (``data``), or ŷ_0 − h (``correction``)."""

    def __init__(self, network: nn.Module, predicts: Predicts) -> None:
        super().__init__()
        self.network, self.predicts = network, predicts

    def forward(
        self, y_t: Float[Tensor, "B K M"], c: Float[Tensor, "B K M"], h: Float[Tensor, "B K M"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K M"]:
        """ŷ_0."""
        out: Tensor = self.network(y_t, c, h, t)
        return h + out if self.predicts == "correction" else out
