"""TimeDiff's denoising network (Shen and Kwok, ICML 2023): convolutions over time that mix the
channels.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config.model_config import ConvolutionConfig
from forecaster.networks.layers import StepEmbedding


class _Block(nn.Module):
    """Convolution, channel normalisation, activation, dropout; added to the input where the widths
    agree.
    """

    def __init__(self, into: int, out: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(into, out, kernel, padding="same")
        self.norm, self.drop = nn.GroupNorm(1, out), nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B C S"]) -> Float[Tensor, "B D S"]:
        y: Tensor = self.drop(F.silu(self.norm(self.convolution(x))))
        return x + y if x.shape == y.shape else y


class ConvolutionNetwork(nn.Module):
    """y_t is encoded with the step, joined with what is given, and decoded; the output's start is
    0.

    ``variates``: K; ``features``: F, of which the first is y_t. Memory of a forward pass: about
    4·B·S·(width·layers·3)·4 bytes.
    """

    def __init__(
        self, config: ConvolutionConfig, steps: int, variates: int, length: int, features: int
    ) -> None:
        super().__init__()
        width, half = config.width, max(config.layers // 2, 1)
        self.memory = 12 * width * config.layers // variates + 1
        self.step = StepEmbedding(steps, config.step_embedding)
        self.shift = nn.Linear(config.step_embedding, width)
        shape = (config.kernel, config.dropout)
        self.encode = nn.Sequential(
            _Block(variates, width, *shape),
            *(_Block(width, width, *shape) for _ in range(half - 1)),
        )
        joined = width + variates * (features - 1)
        self.decode = nn.Sequential(
            _Block(joined, width, *shape), *(_Block(width, width, *shape) for _ in range(half - 1))
        )
        self.output = nn.Conv1d(width, variates, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "B K S F"], t: Int[Tensor, " B"]) -> Float[Tensor, "B K S"]:
        """The network's output; what it stands for is the denoiser's affair."""
        encoded = self.encode(x[..., 0]) + self.shift(self.step(t))[..., None]  # (B, width, S)
        given = x[..., 1:].permute(0, 1, 3, 2).flatten(1, 2)  # (B, K·(F−1), S)
        out: Tensor = self.output(self.decode(torch.cat([encoded, given], dim=1)))
        return out
