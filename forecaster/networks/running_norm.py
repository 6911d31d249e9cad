"""Running normalisation: level and scale of the values up to each step, exponentially weighted.

symbol   code      in
a        decay     e^{−1/τ} a step, τ the time constant
w_t      moments   w_t = a w_{t−1} + m_t,  s_t = a s_{t−1} + m_t x_t,  q_t = a q_{t−1} + m_t x_t²
m_t      mask      1 where observed, else 0
μ_t      level     s_t/w_t: the division corrects the bias of the start at rest
σ_t      scale     √(q_t/w_t − μ_t² + 1e-5)

It is causal: continuing from the moments equals processing the whole history again. The moments
are in double precision.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from forecaster.ssm.scan import scan

Moments = Float64[Tensor, "3 B K"]


def _sums(values: Tensor, mask: Tensor) -> Tensor:
    """The increments of w, s and q."""
    m, x = mask.double(), (values * mask).double()
    return torch.stack([m, x, x * x])


def at_rest(values: Float[Tensor, "B K *n"]) -> Float64[Tensor, "3 B K"]:
    """The moments before the first step."""
    return torch.zeros(3, *values.shape[:2], dtype=torch.float64, device=values.device)


def level_scale(
    moments: Float64[Tensor, "3 ..."], like: Float[Tensor, "..."]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """μ and σ in the precision of ``like``; 0 and √1e-5 where nothing has been observed."""
    w, s, q = moments.unbind(0)
    level, square = s / w.clamp(min=1e-300), q / w.clamp(min=1e-300)
    return level.to(like), ((square - level**2).clamp(min=0) + 1e-5).sqrt().to(like)


def run(
    values: Float[Tensor, "B K L"],
    mask: Float[Tensor, "B K L"],
    decay: float,
    start: Float64[Tensor, "3 B K"],
) -> Float64[Tensor, "3 B K L"]:
    """The moments after every step, from ``start``, by an associative scan."""
    added = _sums(values, mask)
    added = torch.cat([added[..., :1] + decay * start[..., None], added[..., 1:]], dim=-1)
    factor = torch.full_like(added[0, :1, 0], decay)  # (1, L)
    return scan(factor, added.flatten(0, 2)[:, None]).view_as(added)


def step(
    values: Float[Tensor, "B K"],
    mask: Float[Tensor, "B K"],
    decay: float,
    moments: Float64[Tensor, "3 B K"],
) -> Float64[Tensor, "3 B K"]:
    """The moments after one more step."""
    return decay * moments + _sums(values, mask)
