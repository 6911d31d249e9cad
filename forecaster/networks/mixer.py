"""Dense layers over time and over channels in turn (after TSMixer, Chen et al., 2023): a cheap
denoiser of whole paths.

Every weight sees a whole path, so a draw that is shifted, tilted or scaled as a whole is one step
away, which attention over single positions has to put together.
"""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import Even, Fraction, PartConfig, Positive
from forecaster.networks.base import DenoisingNetwork, NetworkShape
from forecaster.networks.layers import StepEmbedding


class MixerBlock(nn.Module):
    """Normalise, mix the channels, mix the hidden units; added to the input."""

    def __init__(self, width: int, variates: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.drop = nn.LayerNorm(width), nn.Dropout(dropout)
        self.across, self.dense = nn.Linear(variates, variates), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "B K W"]) -> Float[Tensor, "B K W"]:
        """The next block's input."""
        y = self.norm(x)
        y = y + self.across(y.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = self.drop(self.dense(F.gelu(y)))
        return x + mixed


class MixerConfig(PartConfig):
    """Dense layers over the whole path of a channel and over the channels, in turn: cheap, and
    linear in its length.
    """

    name: Literal["mixer"] = "mixer"
    width: Positive = 128
    layers: Positive = 2
    step_embedding: Even = 32
    dropout: Fraction = 0.5


@register("network", MixerConfig)
class MixerNetwork(DenoisingNetwork):
    """A channel's whole path with all that is given → hidden units → blocks → the path; the
    output's start is 0.

    ``variates``: K; ``length``: S; ``features``: F. Memory of a forward pass: about
    8·B·K·width·layers·4 bytes.
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
