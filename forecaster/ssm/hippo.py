"""HiPPO (Gu et al., 2020): the state is the past's projection onto N orthogonal polynomials.

symbol   code    meaning, for x'(t) = A x(t) + B u(t)
A, B     A, B    A[n,k], B[n] in float64, with orthonormal polynomials
LegS     legs    x'(t) = (A x + B u)/t: Legendre on [0, t], nothing is ever forgotten,
                 u(xt) ≈ Σ x_n √(2n+1) P_n(2x−1);
                 without the 1/t, as in the layers, the measure is e^{−s} at age s
LegT     legt    Legendre on the window [t−1, t], all older than 1 is forgotten,
                 u(t−s) ≈ Σ x_n √(2n+1) P_n(1−2s)
LagT     lagt    Laguerre, the measure is e^{−s} at age s, u(t−s) ≈ Σ x_n L_n(s)
"""

from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

Measure = Literal["legs", "legt", "lagt"]


def _norms(N: int) -> Float64[Tensor, " N"]:
    """√(2n+1), which makes the Legendre polynomials orthonormal on an interval of length 1."""
    if N < 1:
        raise ValueError(f"the state has at least one dimension, not {N}")
    return (2 * torch.arange(N, dtype=torch.float64) + 1).sqrt()


def legs(N: int) -> tuple[Float64[Tensor, "N N"], Float64[Tensor, " N"]]:
    """A[n,k] = −√((2n+1)(2k+1)) below the diagonal, −(n+1) on it, 0 above; B[n] = √(2n+1)."""
    r = _norms(N)
    A = -torch.tril(torch.outer(r, r), -1) - torch.diag(
        torch.arange(1.0, N + 1, dtype=torch.float64)
    )
    return A, r


def legt(N: int) -> tuple[Float64[Tensor, "N N"], Float64[Tensor, " N"]]:
    """A[n,k] = −√((2n+1)(2k+1))·(1 for k ≤ n, (−1)^{n−k} above); B[n] = √(2n+1).

    The window has length 1.
    """
    r, n = _norms(N), torch.arange(N)
    sign = 1 - 2.0 * ((n[:, None] - n) % 2).double()
    return -torch.outer(r, r) * torch.where(n[:, None] >= n, torch.ones_like(sign), sign), r


def lagt(N: int) -> tuple[Float64[Tensor, "N N"], Float64[Tensor, " N"]]:
    """A[n,k] = −1 on and below the diagonal, 0 above; B[n] = 1.

    Without tilting: α = 0 and β = 1 in the paper.
    """
    ones = torch.ones_like(_norms(N))
    return -torch.tril(torch.outer(ones, ones)), ones


HIPPO = {"legs": legs, "legt": legt, "lagt": lagt}
