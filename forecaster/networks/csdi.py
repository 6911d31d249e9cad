"""CSDI's denoising network (Tashiro et al., NeurIPS 2021) without its mask conditioning.

A gated residual stack; in each layer one transformer layer over time and one over the channels of the series.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.config import NetworkConfig


def sinusoid(positions: Float[Tensor, " n"], width: int, longest: float = 10_000.0) -> Float[Tensor, "n width"]:
    """The sinusoidal position embedding of Vaswani et al. (2017): sines, then cosines."""
    rates = torch.exp(-math.log(longest) * torch.arange(width // 2, device=positions.device) / max(width // 2 - 1, 1))
    angles = positions[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class StepEmbedding(nn.Module):
    """The diffusion step t → (B, width), through two dense layers."""

    table: Tensor

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoid(torch.arange(steps + 1.0), width), persistent=False)
        self.dense = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())

    def forward(self, t: Int[Tensor, " B"]) -> Float[Tensor, "B width"]:
        """The embedding of each window's step."""
        embedded: Tensor = self.dense(self.table[t])
        return embedded


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward layer, each added to its input and normalised after."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "N S C"]) -> Float[Tensor, "N S C"]:
        """Attention over the second axis."""
        n, length, width = x.shape
        qkv = self.qkv(x).view(n, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (N, heads, S, C/heads)
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=rate)
        x = self.norm_1(x + self.drop(self.out(mixed.transpose(1, 2).reshape(n, length, width))))
        return self.norm_2(x + self.drop(self.down(self.drop(F.gelu(self.up(x))))))


class ResidualLayer(nn.Module):
    """Step embedding in, attention over time and over channels, side information, gate; residual and skip out."""

    def __init__(self, config: NetworkConfig, side: int) -> None:
        super().__init__()
        width = config.channels
        self.step = nn.Linear(config.step_embedding, width)
        self.side, self.mid = nn.Linear(side, 2 * width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, 2 * width)
        attention = (width, config.heads, config.feed_forward, config.dropout)
        self.time = TransformerLayer(*attention)
        self.across = TransformerLayer(*attention) if config.attend_channels else None

    def forward(
        self, x: Float[Tensor, "B K M C"], step: Float[Tensor, "B E"], side: Float[Tensor, "K M S"]
    ) -> tuple[Float[Tensor, "B K M C"], Float[Tensor, "B K M C"]]:
        """The next layer's input and this layer's share of the output."""
        b, k, m, c = x.shape
        y = x + self.step(step)[:, None, None]
        y = self.time(y.reshape(b * k, m, c)).view(b, k, m, c)
        if self.across is not None and k > 1:
            y = self.across(y.transpose(1, 2).reshape(b * m, k, c)).view(b, m, k, c).transpose(1, 2)
        gate, content = (self.mid(y) + self.side(side)).chunk(2, dim=-1)
        residual, skip = self.out(gate.sigmoid() * content.tanh()).chunk(2, dim=-1)
        return (x + residual) / math.sqrt(2), skip


class CSDINetwork(nn.Module):
    """y_t, c and h side by side → a gated residual stack → one value a channel and step.

    ``steps``: T; ``variates``: K; ``length``: M. Memory of a forward pass: about 40·B·K·M·C·4 bytes.
    """

    time: Tensor

    def __init__(self, config: NetworkConfig, steps: int, variates: int, length: int, given_prior: bool) -> None:
        super().__init__()
        self.given_prior = given_prior
        self.register_buffer("time", sinusoid(torch.arange(float(length)), config.time_embedding), persistent=False)
        self.names = nn.Embedding(variates, config.channel_embedding)
        self.step = StepEmbedding(steps, config.step_embedding)
        self.input = nn.Linear(3 if given_prior else 2, config.channels)
        side = config.time_embedding + config.channel_embedding
        self.layers = nn.ModuleList(ResidualLayer(config, side) for _ in range(config.layers))
        self.hidden, self.output = nn.Linear(config.channels, config.channels), nn.Linear(config.channels, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, y_t: Float[Tensor, "B K M"], c: Float[Tensor, "B K M"], h: Float[Tensor, "B K M"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K M"]:
        """The network's output; what it stands for is the denoiser's affair."""
        _, k, m = y_t.shape
        x = F.relu(self.input(torch.stack([y_t, c, h] if self.given_prior else [y_t, c], dim=-1)))  # (B, K, M, C)
        step = self.step(t)
        side = torch.cat([self.time.expand(k, m, -1), self.names.weight[:, None].expand(k, m, -1)], dim=-1)
        total = torch.zeros_like(x)
        for layer in self.layers:
            x, skip = layer(x, step, side)
            total = total + skip
        out: Tensor = self.output(F.relu(self.hidden(total / math.sqrt(len(self.layers)))))
        return out.squeeze(-1)
