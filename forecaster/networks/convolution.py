"""TimeDiff's denoising network (Shen and Kwok, ICML 2023): convolutions that mix the channels."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import Depth, Even, Fraction, PartConfig, Size
from forecaster.networks.base import DenoisingNetwork, NetworkShape
from forecaster.networks.layers import StepEmbedding


class _Block(nn.Module):
    """Convolution, normalisation, activation, dropout; residual if the widths agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, kernel, padding="same")
        self.norm, self.drop = nn.GroupNorm(1, outputs), nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B C S"]) -> Float[Tensor, "B D S"]:
        y: Tensor = self.drop(F.silu(self.norm(self.convolution(x))))
        return x + y if x.shape == y.shape else y


class ConvolutionConfig(PartConfig):
    """TimeDiff's network: convolutions over time that mix all channels."""

    name: Literal["convolution"] = "convolution"
    width: Size = 64
    layers: Depth = 4
    kernel: Size = 5
    step_embedding: Even = 128
    dropout: Fraction = 0.1


@register("network", ConvolutionConfig)
class ConvolutionNetwork(DenoisingNetwork):
    """Encodes y_t and the step, concatenates the condition, and decodes; zero-initialised output.

    Memory of a forward pass: about 4·B·S·(width·layers·3)·4 bytes.
    """

    def __init__(self, config: ConvolutionConfig, shape: NetworkShape) -> None:
        super().__init__()
        width, half = config.width, max(config.layers // 2, 1)
        self.memory = 12 * width * config.layers // shape.variates + 1
        self.step = StepEmbedding(shape.steps, config.step_embedding)
        self.shift = nn.Linear(config.step_embedding, width)
        block = (config.kernel, config.dropout)
        self.encode = nn.Sequential(
            _Block(shape.variates, width, *block),
            *(_Block(width, width, *block) for _ in range(half - 1)),
        )
        joined = width + shape.variates * (shape.features - 1)
        self.decode = nn.Sequential(
            _Block(joined, width, *block), *(_Block(width, width, *block) for _ in range(half - 1))
        )
        self.output = nn.Conv1d(width, shape.variates, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "B K S F"], t: Int[Tensor, " B"]) -> Float[Tensor, "B K S"]:
        encoded = self.encode(x[..., 0]) + self.shift(self.step(t))[..., None]  # (B, width, S)
        condition = x[..., 1:].permute(0, 1, 3, 2).flatten(1, 2)  # (B, K·(F−1), S)
        out: Tensor = self.output(self.decode(torch.cat([encoded, condition], dim=1)))
        return out
