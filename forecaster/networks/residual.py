"""CSDI's denoising network (Tashiro et al., NeurIPS 2021): a gated residual stack.

Each layer has attention, S4 (SSSD: Alcaraz and Strodthoff, 2022) or the delta rule over time, and
attention over the channels.
"""

import math
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import model_validator
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import Depth, Even, Fraction, PartConfig, Size, StateSize
from forecaster.delta.layer import DeltaOptions, DeltaRule, check_options
from forecaster.networks.base import DenoisingNetwork, NetworkShape
from forecaster.networks.layers import StepEmbedding, TransformerLayer, check_heads, sinusoid
from forecaster.ssm.s4 import S4


class ResidualNetworkConfig(PartConfig):
    """CSDI's gated residual stack, with ``time`` as the layer over time (SSSD: ``s4``).

    ``delta``: the options of ``time`` delta.
    """

    name: Literal["residual"] = "residual"
    time: Literal["attention", "s4", "delta"] = "attention"
    attend_channels: bool = True
    layers: Depth = 4
    channels: Size = 8
    heads: Size = 2
    state: StateSize = 16
    step_embedding: Even = 128
    time_embedding: Even = 128
    channel_embedding: Size = 16
    feed_forward: Size = 64
    dropout: Fraction = 0.0
    delta: DeltaOptions = DeltaOptions()

    @model_validator(mode="after")
    def _check_heads(self) -> "ResidualNetworkConfig":
        if self.time == "attention" or self.attend_channels:
            check_heads(self.channels, self.heads, "channels")
        check_options(self.delta, self.time == "delta", "time", self.channels, "channels")
        return self


class BothWays(nn.Module):
    """A causal layer both ways and a pointwise layer, residual and post-normalised."""

    def __init__(
        self, ahead: S4 | DeltaRule, back: S4 | DeltaRule, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.ahead, self.back = ahead, back
        self.out, self.norm, self.drop = (
            nn.Linear(2 * width, width),
            nn.LayerNorm(width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Float[Tensor, "N S C"]) -> Float[Tensor, "N S C"]:
        u = x.transpose(1, 2)  # (N, C, S)
        # half precision has no complex type, which kernels are of, and no triangular solver
        with torch.autocast(u.device.type, enabled=False):
            u = u.to(self.ahead.D.dtype)
            both = torch.cat([self.ahead(u), self.back(u.flip(2)).flip(2)], dim=1).transpose(1, 2)
        mixed: Tensor = self.norm(x + self.drop(self.out(F.gelu(both))))
        return mixed


class ResidualLayer(nn.Module):
    """One layer of the stack: step embedding, time, channels, side information, gate."""

    def __init__(self, config: ResidualNetworkConfig, side: int) -> None:
        super().__init__()
        width = config.channels
        self.step = nn.Linear(config.step_embedding, width)
        self.side, self.mid = nn.Linear(side, 2 * width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, 2 * width)
        attention = (width, config.heads, config.feed_forward, config.dropout)
        self.time: nn.Module
        if config.time == "attention":
            self.time = TransformerLayer(*attention)
        else:
            delta = partial(DeltaRule, options=config.delta)
            make = delta if config.time == "delta" else S4
            ahead, back = make(width, config.state), make(width, config.state)
            self.time = BothWays(ahead, back, width, config.dropout)
        self.across = TransformerLayer(*attention) if config.attend_channels else None

    def forward(
        self, x: Float[Tensor, "B K S C"], step: Float[Tensor, "B E"], side: Float[Tensor, "K S D"]
    ) -> tuple[Float[Tensor, "B K S C"], Float[Tensor, "B K S C"]]:
        """The next layer's input, and the skip connection."""
        b, k, m, c = x.shape
        y = x + self.step(step)[:, None, None]
        y = self.time(y.reshape(b * k, m, c)).view(b, k, m, c)
        if self.across is not None and k > 1:
            y = self.across(y.transpose(1, 2).reshape(b * m, k, c)).view(b, m, k, c).transpose(1, 2)
        gate, content = (self.mid(y) + self.side(side)).chunk(2, dim=-1)
        residual, skip = self.out(gate.sigmoid() * content.tanh()).chunk(2, dim=-1)
        return (x + residual) / math.sqrt(2), skip


@register("network", ResidualNetworkConfig)
class ResidualNetwork(DenoisingNetwork):
    """Features → gated residual stack → one value for each channel and position.

    Memory of a forward pass: about
    40·B·K·S·C·4 bytes.
    """

    time: Tensor

    def __init__(self, config: ResidualNetworkConfig, shape: NetworkShape) -> None:
        super().__init__()
        self.memory = 40 * config.channels
        self.register_buffer(
            "time",
            sinusoid(torch.arange(float(shape.length)), config.time_embedding),
            persistent=False,
        )
        self.names = nn.Embedding(shape.variates, config.channel_embedding)
        self.step = StepEmbedding(shape.steps, config.step_embedding)
        self.input = nn.Linear(shape.features, config.channels)
        side = config.time_embedding + config.channel_embedding
        self.layers = nn.ModuleList(ResidualLayer(config, side) for _ in range(config.layers))
        self.hidden, self.output = (
            nn.Linear(config.channels, config.channels),
            nn.Linear(config.channels, 1),
        )
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Float[Tensor, "B K S F"], t: Int[Tensor, " B"]) -> Float[Tensor, "B K S"]:
        _, k, m, _ = x.shape
        y = F.relu(self.input(x))  # (B, K, S, C)
        step = self.step(t)
        side = torch.cat(
            [self.time.expand(k, m, -1), self.names.weight[:, None].expand(k, m, -1)], dim=-1
        )
        total = torch.zeros_like(y)
        for layer in self.layers:
            y, skip = layer(y, step, side)
            total = total + skip
        out: Tensor = self.output(F.relu(self.hidden(total / math.sqrt(len(self.layers)))))
        return out.squeeze(-1)
