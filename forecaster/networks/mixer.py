"""A mixer of time and channels, after TSMixer (Chen et al., 2023): a cheap denoiser of whole paths.

Dense layers over the whole path represent shifts, tilts and scalings of a path directly, which
attention has to compose of single positions.
"""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import Depth, Even, Fraction, PartConfig, Size
from forecaster.networks.base import DenoisingNetwork, NetworkShape
from forecaster.networks.layers import StepEmbedding


class MixerBlock(nn.Module):
    """Normalisation, channel mixing and feature mixing, with a residual connection."""

    def __init__(self, width: int, variates: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(dropout)
        self.across, self.dense = nn.Linear(variates, variates), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "B K W"]) -> Float[Tensor, "B K W"]:
        y = self.norm(x)
        y = y + self.across(y.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = self.drop(self.dense(F.gelu(y)))
        return x + mixed


class MixerConfig(PartConfig):
    """Dense layers over a channel's whole path and over the channels, in alternation; cheap."""

    name: Literal["mixer"] = "mixer"
    width: Size = 128
    layers: Depth = 2
    step_embedding: Even = 32
    dropout: Fraction = 0.5


@register("network", MixerConfig)
class MixerNetwork(DenoisingNetwork):
    """A channel's features at all positions → hidden units → blocks → path; the output starts at 0.

    Memory of a forward pass: about 8·B·K·width·layers·4 bytes.
    """

    def __init__(self, config: MixerConfig, shape: NetworkShape) -> None:
        super().__init__()
        self.memory = shape.features + 8 * config.width * config.layers // shape.length + 1
        self.step = StepEmbedding(shape.steps, config.step_embedding)
        self.shift = nn.Linear(config.step_embedding, config.width)
        self.names = nn.Embedding(shape.variates, config.width)
        self.input = nn.Linear(shape.length * shape.features, config.width)
        self.blocks = nn.Sequential(
            *(
                MixerBlock(config.width, shape.variates, config.dropout)
                for _ in range(config.layers)
            )
        )
        self.output = nn.Linear(config.width, shape.length)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Float[Tensor, "B K S F"], t: Int[Tensor, " B"]) -> Float[Tensor, "B K S"]:
        y = (
            self.input(x.flatten(2)) + self.names.weight + self.shift(self.step(t))[:, None]
        )  # (B, K, W)
        out: Tensor = self.output(F.gelu(self.blocks(y)))
        return out
