"""Sums of powers of a diagonal Λ̄ = e^{ΔΛ}, as in ``krylov.py``: baby-step giant-step.

symbol        code       in
x_n = ΔΛ_n    exponent   Λ̄_n^l = e^{l·x_n}
w_n           weight     K_l = 2 Re Σ_n w_n Λ̄_n^l            (Gu et al., *S4D*, 2022, equation 6)

With s = ⌈√L⌉ and l = s·j + i, Λ̄^l = Λ̄^{sj} Λ̄^i: the L × m Vandermonde matrix is never formed.
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def powers(exponent: Complex[Tensor, "*s m"], n: int) -> Complex[Tensor, "*s m n"]:
    """e^{l·x} for l < n."""
    return (
        exponent[..., None] * torch.arange(n, dtype=exponent.real.dtype, device=exponent.device)
    ).exp()


def _steps(exponent: Tensor, L: int) -> tuple[int, Tensor, Tensor]:
    """s = ⌈√L⌉, the s small powers and the ⌈L/s⌉ giant ones."""
    s = math.isqrt(L - 1) + 1
    return s, powers(exponent, s), powers(s * exponent, -(-L // s))


def vandermonde(
    weight: Complex[Tensor, "*b H m"], exponent: Complex[Tensor, "H m"], L: int
) -> Float[Tensor, "*b H L"]:
    """2 Re Σ_n w_n Λ̄_n^l for l < L, in O(mL), memory O(m√L + L) for each weight."""
    _, small, giant = _steps(exponent, L)
    left = (weight[..., None] * giant).mT  # (…, H, giant steps, m)
    left = torch.cat([left.real, -left.imag], dim=-1)
    right = torch.cat([small.real, small.imag], dim=-2)
    return 2 * (left @ right).flatten(-2)[..., :L]


def last_state(
    exponent: Complex[Tensor, "H m"], u: Float[Tensor, "B H L"]
) -> Complex[Tensor, "B H m"]:
    """Σ_j Λ̄^{L−1−j} u_j: the state after u, from rest, before the gain of B̄."""
    s, small, giant = _steps(exponent, u.shape[-1])
    back = torch.nn.functional.pad(u.flip(-1), (0, giant.shape[-1] * s - u.shape[-1])).unflatten(
        -1, (-1, s)
    )
    pieces = torch.view_as_complex(
        (back @ torch.view_as_real(small.mT).flatten(-2)).unflatten(-1, (-1, 2))
    )
    return torch.einsum("bhjm,hmj->bhm", pieces, giant)
