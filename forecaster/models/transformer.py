"""A transformer over patches of the lookback, channel by channel (PatchTST: Nie et al., ICLR
2023).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.model_config import TransformerConfig
from forecaster.models.point import PointModel
from forecaster.networks.build import check_heads
from forecaster.networks.layers import TransformerLayer


class Transformer(PointModel):
    """Patches → tokens with learnt positions → transformer layers → one linear head over all
    tokens.
    """

    def __init__(
        self, config: TransformerConfig, lookback: int, horizon: int, label: int = 0
    ) -> None:
        super().__init__(config.norm, config.loss, label)
        check_heads(config.width, config.heads, "model.heads", "model.width")
        self.patch, self.stride = min(config.patch, lookback), config.stride
        tokens = (lookback - self.patch) // self.stride + 1
        self.embed = nn.Linear(self.patch, config.width)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, config.width))
        attention = (config.width, config.heads, config.feed_forward, config.dropout)
        self.layers = nn.Sequential(*(TransformerLayer(*attention) for _ in range(config.layers)))
        self.head = nn.Sequential(
            nn.Flatten(1),
            nn.Dropout(config.dropout),
            nn.Linear(tokens * config.width, label + horizon),
        )

    def outlook(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        """The newest values lie in a patch whatever the lookback; the oldest may be left over."""
        spare = (past.shape[2] - self.patch) % self.stride
        patches = past[..., spare:].unfold(2, self.patch, self.stride)  # (B, K, tokens, patch)
        tokens = self.embed(patches) + self.position
        out: Tensor = self.head(self.layers(tokens.flatten(0, 1)))
        return out.unflatten(0, past.shape[:2])
