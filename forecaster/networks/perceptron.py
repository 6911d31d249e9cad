"""TMDM's denoising network (Li et al., ICLR 2024), after CARD (Han et al., NeurIPS 2022): dense
layers gated by the step.
"""

import itertools

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config.model_config import PerceptronConfig


class GatedDense(nn.Module):
    """A dense layer whose outputs are multiplied by a learnt vector of the diffusion step, near 1
    at the start.
    """

    def __init__(self, into: int, out: int, steps: int) -> None:
        super().__init__()
        self.dense, self.gate = nn.Linear(into, out), nn.Embedding(steps + 1, out)
        nn.init.uniform_(self.gate.weight, 0.9, 1.1)

    def forward(self, x: Float[Tensor, "B S C"], t: Int[Tensor, " B"]) -> Float[Tensor, "B S D"]:
        """Position by position."""
        y: Tensor = self.dense(x) * self.gate(t)[:, None]
        return y


class PerceptronNetwork(nn.Module):
    """All channels of one time step together, every time step alike.

    ``variates``: K; ``features``: F. Memory of a forward pass: about 4·B·S·width·layers·4 bytes.
    """

    def __init__(
        self, config: PerceptronConfig, steps: int, variates: int, length: int, features: int
    ) -> None:
        super().__init__()
        self.memory = 4 * config.width * config.layers // variates + 1
        widths = [variates * features, *[config.width] * config.layers]
        self.layers = nn.ModuleList(GatedDense(a, b, steps) for a, b in itertools.pairwise(widths))
        self.output = nn.Linear(config.width, variates)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Float[Tensor, "B K S F"], t: Int[Tensor, " B"]) -> Float[Tensor, "B K S"]:
        """The network's output; what it stands for is the denoiser's affair."""
        y = x.permute(0, 2, 1, 3).flatten(2)  # (B, S, K·F)
        for layer in self.layers:
            y = F.softplus(layer(y, t))
        out: Tensor = self.output(y)
        return out.transpose(1, 2)
