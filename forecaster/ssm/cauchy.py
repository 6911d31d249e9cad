"""S4's kernel: its generating function at the roots of unity, then an inverse FFT.

Gu et al., *S4*, 2022, algorithm 1.

symbol   code       in
θ        —          2πk/L, k = 0…⌊L/2⌋ (the kernel is real); z = e^{−iθ}
γ        gamma      (Δ/2) cos(θ/2)
R        —          (i sin(θ/2) − γΛ)^{−1}, diagonal
C̃        C          C(I − Ā^L)
K̂(z)     —          Σ_{l<L} C Ā^l B̄ z^l = Δ·C̃ ((1−z)I − (Δ/2)(1+z)A)^{−1} B,  A = Λ − P P*
                    = (Δ/2) e^{iθ/2} [C̃RB − γ(C̃RP)(P*RB)/(1 + γP*RP)]            (Woodbury)

1 − z and 1 + z are 2e^{−iθ/2} times i sin(θ/2) and cos(θ/2), so nothing is singular at z = −1. The
sum of a mode v and its conjugate, v·R + v̄·R̃ = 2(i Re(v) sin(θ/2) − Re(vΛ̄)γ)/(a + ib), has real a
= |Λ|²γ² − sin²(θ/2), b = −2 Re(Λ)γ sin(θ/2).
"""

import math

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from forecaster.ssm.nplr import NPLR

# nodes evaluated at a time: their intermediate values fit a core's cache, which makes the kernel
# twice as fast
BLOCK = 512


def _pair_sums(
    v: Complex[Tensor, "H 4 m"],
    lam: Complex[Tensor, "H m"],
    sin: Float[Tensor, " F"],
    gamma: Float[Tensor, "H F"],
) -> Complex[Tensor, "H 4 F"]:
    """Σ_n v_n R_n + v̄_n R̃_n."""
    weights = 2 * torch.cat([v.real, (v * lam.conj()[:, None]).real], dim=1)
    modulus, real = (lam.real**2 + lam.imag**2)[..., None], lam.real[..., None]
    pieces = []
    for s, g in zip(sin.split(BLOCK), gamma.split(BLOCK, dim=1)):
        a = modulus * (g**2)[:, None] - s**2  # (H, m, block)
        b = -2 * real * (g * s)[:, None]
        inverse = 1 / (a**2 + b**2)
        pieces.append(torch.complex(weights @ (a * inverse), -weights @ (b * inverse)))
    X, Y = torch.cat(pieces, dim=2).chunk(2, dim=1)
    return 1j * sin * X - gamma[:, None] * Y


def kernel(system: NPLR, C: Complex[Tensor, "H m"], L: int) -> Float[Tensor, "H L"]:
    """K_l = C Ā^l B̄ for l < L, given C̃, in O(NL); memory O(NL) with gradients, else O(N + L)."""
    half = math.pi / L * torch.arange(L // 2 + 1, dtype=torch.float64, device=C.device)  # θ/2
    sin, cos = half.sin().to(system.dt.dtype), half.cos().to(system.dt.dtype)
    gamma = system.dt[:, None] / 2 * cos
    P, B = system.P, system.B
    v = torch.stack([C * B, C * P, P.conj() * B, P.conj() * P], dim=1)
    CB, CP, PB, PP = _pair_sums(v, system.lam, sin, gamma).unbind(1)
    generating = CB - gamma * CP * PB / (1 + gamma * PP)
    return torch.fft.irfft(system.dt[:, None] / 2 * torch.complex(cos, sin) * generating, n=L)
