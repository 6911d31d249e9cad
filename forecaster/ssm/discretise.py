"""From x'(t) = A x(t) + B u(t) to x_k = Ā x_{k−1} + B̄ u_k with a step Δ.

symbol   code    in
Δ        dt      the step, one a feature
α        alpha   Ā = (I − αΔA)^{−1} (I + (1−α)ΔA),  B̄ = (I − αΔA)^{−1} ΔB,  the generalised
                 bilinear transform
Λ        lam     the diagonal of a diagonal A

α = 0 is Euler forward, 1 Euler backward, ½ bilinear. The zero-order hold is exact for an input that
stays constant over each step: Ā = e^{ΔA}, B̄ = A^{−1}(Ā − I)B.
"""

import math

import torch
from jaxtyping import Complex, Float, Inexact
from torch import Tensor, nn


class StepSize(nn.Module):
    """Δ > 0 of ``count`` features, stored as log Δ, initially log-spaced in [dt_min, dt_max]."""

    log_dt: Tensor

    def __init__(self, count: int, dt_min: float, dt_max: float, trainable: bool = True) -> None:
        super().__init__()
        if not 0 < dt_min <= dt_max:
            raise ValueError(
                f"the steps need 0 < dt_min ≤ dt_max, not dt_min = {dt_min} and dt_max = {dt_max}"
            )
        place = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        log_dt = (math.log(dt_min) + place * math.log(dt_max / dt_min)).to(
            torch.get_default_dtype()
        )
        if trainable:
            self.log_dt = nn.Parameter(log_dt)
        else:  # determined by the configuration, so not saved with the weights
            self.register_buffer("log_dt", log_dt, persistent=False)

    def forward(self, rate: float = 1.0) -> Float[Tensor, " count"]:
        """``rate``·Δ."""
        if not rate > 0:
            raise ValueError(
                f"the rate multiplies the sampling interval, so it is positive, not {rate}"
            )
        return rate * self.log_dt.exp()


def check_alpha(alpha: float) -> float:
    """``alpha``; raises ValueError outside [0, 1]."""
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha lies between 0 (Euler forward) and 1 (Euler backward), not {alpha}"
        )
    return alpha


def gbt(
    A: Float[Tensor, "*b N N"], B: Float[Tensor, "*b N"], dt: Float[Tensor, "*b"], alpha: float
) -> tuple[Float[Tensor, "*b N N"], Float[Tensor, "*b N"]]:
    """(Ā, B̄) of the generalised bilinear transform, by a dense solve."""
    step, eye = dt[..., None, None], torch.eye(A.shape[-1], dtype=A.dtype, device=A.device)
    right = torch.cat([eye + (1 - check_alpha(alpha)) * step * A, step * B[..., None]], dim=-1)
    both = torch.linalg.solve(eye - alpha * step * A, right)
    return both[..., :-1], both[..., -1]


def expm(X: Inexact[Tensor, "*b N N"]) -> Inexact[Tensor, "*b N N"]:
    """e^X to rounding, by scaling, the Taylor series and squaring.

    ``torch.linalg.matrix_exp`` (2.13) is off by up to 1e-10 where the norm of X is a few
    hundredths.
    """
    norm = float(torch.linalg.matrix_norm(X.detach(), 1).max())
    squarings = max(0, math.ceil(math.log2(norm))) if norm > 0 else 0
    X = X / 2**squarings
    total = term = torch.eye(X.shape[-1], dtype=X.dtype, device=X.device).expand_as(X)
    for k in range(1, 20):
        term = term @ X / k
        total = total + term
    for _ in range(squarings):
        total = total @ total
    return total


def zoh(
    A: Float[Tensor, "*b N N"], B: Float[Tensor, "*b N"], dt: Float[Tensor, "*b"]
) -> tuple[Float[Tensor, "*b N N"], Float[Tensor, "*b N"]]:
    """(Ā, B̄) of the zero-order hold: the top of exp(Δ·[[A, B], [0, 0]]), for singular A, too."""
    block = nn.functional.pad(torch.cat([A, B[..., None]], dim=-1), (0, 0, 0, 1))
    both = expm(dt[..., None, None] * block)
    return both[..., :-1, :-1], both[..., :-1, -1]


def expm1(x: Complex[Tensor, "*s"]) -> Complex[Tensor, "*s"]:
    """e^x − 1 without the cancellation near 0."""
    a, b = x.real, x.imag
    return torch.complex(torch.expm1(a) * b.cos() - 2 * (b / 2).sin() ** 2, a.exp() * b.sin())


def zoh_diagonal(
    lam: Complex[Tensor, "*s"], dt: Float[Tensor, "*t"]
) -> tuple[Complex[Tensor, "*s"], Complex[Tensor, "*s"]]:
    """ΔΛ, whose exponential is Λ̄, and the gain (Λ̄ − 1)/Λ = B̄/B; ``dt`` broadcasts to ``lam``."""
    exponent = dt * lam
    return exponent, expm1(exponent) / lam
