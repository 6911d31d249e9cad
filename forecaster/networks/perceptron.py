"""TMDM's denoising network: dense layers gated by the step.

Li et al. (ICLR 2024), after CARD (Han et al., NeurIPS 2022).
"""

import itertools
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import Depth, PartConfig, Size
from forecaster.networks.base import DenoisingNetwork, NetworkShape


class GatedDense(nn.Module):
    """A dense layer times a learnt vector of the diffusion step, initialised near 1."""

    def __init__(self, inputs: int, outputs: int, steps: int) -> None:
        super().__init__()
        self.dense, self.gate = nn.Linear(inputs, outputs), nn.Embedding(steps + 1, outputs)
        nn.init.uniform_(self.gate.weight, 0.9, 1.1)

    def forward(self, x: Float[Tensor, "B S C"], t: Int[Tensor, " B"]) -> Float[Tensor, "B S D"]:
        y: Tensor = self.dense(x) * self.gate(t)[:, None]
        return y


class PerceptronConfig(PartConfig):
    """TMDM's network: dense layers over the channels of a time step, gated by the step."""

    name: Literal["perceptron"] = "perceptron"
    width: Size = 128
    layers: Depth = 3


@register("network", PerceptronConfig)
class PerceptronNetwork(DenoisingNetwork):
    """A perceptron over all channels of a time step, shared by the time steps.

    Memory of a forward pass: about 4·B·S·width·layers·4 bytes.
    """

    one_time_each = True

    def __init__(self, config: PerceptronConfig, shape: NetworkShape) -> None:
        super().__init__()
        self.memory = 4 * config.width * config.layers // shape.variates + 1
        widths = [shape.variates * shape.features, *[config.width] * config.layers]
        self.layers = nn.ModuleList(
            GatedDense(a, b, shape.steps) for a, b in itertools.pairwise(widths)
        )
        self.output = nn.Linear(config.width, shape.variates)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Float[Tensor, "B K S F"], t: Int[Tensor, " B"]) -> Float[Tensor, "B K S"]:
        y = x.permute(0, 2, 1, 3).flatten(2)  # (B, S, K·F)
        for layer in self.layers:
            y = F.softplus(layer(y, t))
        out: Tensor = self.output(y)
        return out.transpose(1, 2)
