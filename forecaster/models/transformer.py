"""A transformer over patches of the lookback, channel by channel (PatchTST: Nie et al., ICLR
2023).
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import Depth, Fraction, PartConfig, Size
from forecaster.models.base import Loss, Shape
from forecaster.models.point import NormalisedForecaster
from forecaster.networks.layers import TransformerLayer, check_heads
from forecaster.networks.norms import Norm


class TransformerConfig(PartConfig):
    """A transformer over patches of the lookback, shared by the channels (PatchTST).

    Nie et al., arXiv 2211.14730.
    """

    name: Literal["transformer"] = "transformer"
    norm: Norm = "standard"
    loss: Loss = "mse"
    patch: Size = 16
    stride: Size = 8
    width: Size = 16
    layers: Depth = 2
    heads: Size = 4
    feed_forward: Size = 64
    dropout: Fraction = 0.2

    @model_validator(mode="after")
    def _check_heads(self) -> "TransformerConfig":
        check_heads(self.width, self.heads, "width")
        return self


@register("forecaster", TransformerConfig)
class Transformer(NormalisedForecaster):
    """Patches → tokens with learnt positions → transformer layers → one linear head."""

    def __init__(self, config: TransformerConfig, shape: Shape) -> None:
        super().__init__(config.norm, config.loss, shape)
        lookback, steps = shape.lookback, shape.label + shape.horizon
        self.patch, self.stride = min(config.patch, lookback), config.stride
        tokens = (lookback - self.patch) // self.stride + 1
        self.embed = nn.Linear(self.patch, config.width)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, config.width))
        attention = (config.width, config.heads, config.feed_forward, config.dropout)
        self.layers = nn.Sequential(*(TransformerLayer(*attention) for _ in range(config.layers)))
        self.head = nn.Sequential(
            nn.Flatten(1), nn.Dropout(config.dropout), nn.Linear(tokens * config.width, steps)
        )

    def predict_normalised(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        """Patches end at the newest value; the oldest values may be left over."""
        remainder = (past.shape[2] - self.patch) % self.stride
        patches = past[..., remainder:].unfold(2, self.patch, self.stride)  # (B, K, tokens, patch)
        tokens = self.embed(patches) + self.position
        out: Tensor = self.head(self.layers(tokens.flatten(0, 1)))
        return out.unflatten(0, past.shape[:2])
