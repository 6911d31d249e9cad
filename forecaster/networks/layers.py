"""Layers of several networks: embeddings of positions and steps, and a transformer layer."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


def sinusoid(
    positions: Float[Tensor, " n"], width: int, longest: float = 10_000.0
) -> Float[Tensor, "n width"]:
    """The sinusoidal position embedding of Vaswani et al. (2017): sines, then cosines."""
    rates = torch.exp(
        -math.log(longest)
        * torch.arange(width // 2, device=positions.device)
        / max(width // 2 - 1, 1)
    )
    angles = positions[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class StepEmbedding(nn.Module):
    """The embedding (B, width) of diffusion steps: sinusoidal, then two dense layers."""

    table: Tensor

    def __init__(self, steps: int, width: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoid(torch.arange(steps + 1.0), width), persistent=False)
        self.dense = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )

    def forward(self, t: Int[Tensor, " B"]) -> Float[Tensor, "B width"]:
        embedded: Tensor = self.dense(self.table[t])
        return embedded


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward layer, both residual and post-normalised."""

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


def check_heads(width: int, heads: int, width_name: str) -> None:
    """Raise ValueError unless ``heads`` divides ``width``; for validators of settings."""
    if width % heads:
        raise ValueError(f"heads {heads} has to divide {width_name} {width}; change one of them")
