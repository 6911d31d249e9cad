"""Window normalisation: level and scale of each window and channel, without the masked values."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Norm = Literal["none", "last", "mean", "standard"]


@dataclass(frozen=True)
class WindowScale:
    """Level and scale of a window, each (B, K, 1); they apply to any (B, K, n)."""

    level: Float[Tensor, "B K 1"]
    scale: Float[Tensor, "B K 1"]

    def apply(self, values: Float[Tensor, "B K n"]) -> Float[Tensor, "B K n"]:
        """z-scores → the window's own units."""
        return (values - self.level) / self.scale

    def invert(self, values: Float[Tensor, "B K n"]) -> Float[Tensor, "B K n"]:
        """The window's own units → z-scores."""
        return values * self.scale + self.level


def window_scale(
    past: Float[Tensor, "B K L"], mask: Float[Tensor, "B K L"], norm: Norm
) -> WindowScale:
    """Level and scale by ``norm``: ``none``, ``last`` observed value, ``mean``, or ``standard``.

    ``standard`` divides by the deviation, too: RevIN without its affine part (Kim et al., ICLR
    2022), with variance plus 1e-5. A channel without an observed value has level 0.
    """
    count = mask.sum(2, keepdim=True).clamp(min=1)
    mean = (past * mask).sum(2, keepdim=True) / count
    one = torch.ones_like(mean)
    if norm == "none":
        return WindowScale(torch.zeros_like(mean), one)
    if norm == "last":
        steps = torch.arange(1, past.shape[2] + 1, device=past.device, dtype=past.dtype)
        newest = (mask * steps).argmax(2, keepdim=True)
        return WindowScale(past.gather(2, newest), one)
    if norm == "mean":
        return WindowScale(mean, one)
    variance = ((past - mean) ** 2 * mask).sum(2, keepdim=True) / count
    return WindowScale(mean, (variance + 1e-5).sqrt())
