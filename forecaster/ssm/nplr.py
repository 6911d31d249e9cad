"""LegS as normal plus low rank: A = V(Λ − P P*)V*, with V unitary.

Gu et al., *S4*, 2022, appendix C; *SaShiMi* for P = Q.

symbol   code   in
Λ        lam    the eigenvalues of A + p pᵀ = −½ I + skew, with p_n = √(n + ½); real parts −½
P        P      V* p
B        B      V* B
h        h      Δ/2, of the bilinear transform

Only one mode of each conjugate pair is used (``modes.py``), so P*z stands for 2 Re Σ P̄_n z_n.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Complex128, Float
from torch import Tensor

from forecaster.ssm.hippo import legs
from forecaster.ssm.modes import Modes, one_of_each_pair


def legs_modes(N: int) -> tuple[Modes, Complex128[Tensor, " m"]]:
    """The eigenbasis of LegS's normal part, and P in it."""
    A, _ = legs(N)
    p = (torch.arange(N, dtype=torch.float64) + 0.5).sqrt()
    skew = A + torch.outer(p, p) + 0.5 * torch.eye(N, dtype=torch.float64)
    frequency, V = torch.linalg.eigh(-1j * (skew - skew.T) / 2)
    if N % 2:
        frequency[N // 2] = 0.0  # the eigenvalue without a partner, up to rounding
    modes = one_of_each_pair(
        torch.complex(torch.full_like(frequency, -0.5), frequency), V, V.mH.resolve_conj()
    )
    return modes, modes.W @ p.to(V.dtype)


@dataclass(frozen=True)
class NPLR:
    """H systems z' = (Λ − P P*) z + B u, each with its step."""

    lam: Complex[Tensor, "H m"]
    P: Complex[Tensor, "H m"]
    B: Complex[Tensor, "H m"]
    dt: Float[Tensor, " H"]

    def derivative(self, z: Complex[Tensor, "*b H m"]) -> Complex[Tensor, "*b H m"]:
        """(Λ − P P*) z."""
        return self.lam * z - self.P * self._project(z)

    def advance(
        self, z: Complex[Tensor, "*b H m"], u: Float[Tensor, "*b H"]
    ) -> Complex[Tensor, "*b H m"]:
        """z_k = (I − hA)^{−1} ((I + hA) z_{k−1} + ΔB u_k) in O(N), by Woodbury's identity."""
        h, dt = self.dt[:, None] / 2, self.dt[:, None]
        inverse = 1 / (1 - h * self.lam)
        free = inverse * (z + h * self.derivative(z) + dt * self.B * u[..., None])
        spread = inverse * self.P
        return free - spread * (h * self._project(free) / (1 + h * self._project(spread)))

    def dense(self) -> Float[Tensor, "H N N"]:
        """Ā on the real vectors (Re z, Im z), N = 2m: ``advance`` of the unit vectors."""
        N = 2 * self.lam.shape[-1]
        units = torch.eye(N, dtype=self.dt.dtype, device=self.dt.device)
        z = to_complex(units)[:, None].expand(N, *self.lam.shape)
        return to_real(self.advance(z, self.dt.new_zeros(N, len(self.dt)))).permute(1, 2, 0)

    def _project(self, z: Complex[Tensor, "*b H m"]) -> Float[Tensor, "*b H 1"]:
        """P*z."""
        return 2 * (self.P.conj() * z).real.sum(-1, keepdim=True)


def to_real(z: Complex[Tensor, "*b m"]) -> Float[Tensor, "*b N"]:
    """(z_1, z_2, …) as (Re z_1, Im z_1, Re z_2, …)."""
    return torch.view_as_real(z).flatten(-2)


def to_complex(x: Float[Tensor, "*b N"]) -> Complex[Tensor, "*b m"]:
    """The inverse of ``to_real``."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
