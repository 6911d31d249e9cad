"""LSSL's class of matrices with a fast solve: A = P(D + T^{−1})Q.

Gu et al., *LSSL*, 2021, theorem 2 and appendix.

symbol   code                    in
P, Q     −e^{log_p}, e^{log_q}   diagonal, P < 0 < Q
D        D                       diagonal
T        lower, diag, upper      tridiagonal
h        h                       αΔ, in (I − hA)^{−1}

With w = T^{−1}Qx and E = I − hPDQ, the system (I − hA)x = v becomes (ET − hPQ)w = Qv, x = Q^{−1}Tw:
tridiagonal, and nothing is divided by E, which LegS makes 0 at h = 1/n. All of LegS, LegT and LagT
lie in the class (r_n = √(2n+1)):

LegS     P = −r, Q = r, D = −n/(2n+1), T^{−1} the lower triangle of ones: T has 1 on the
         diagonal and −1 below
LagT     P = −1, Q = 1, D = 0, the same T
LegT     P = −r, Q = r, D = 0, T = ½·tridiag(−1, 0, 1), with ½ in both corners of the diagonal

Any trained A is stable: A is similar to PQ(D + T^{−1}), so no eigenvalue is right of the
imaginary axis if D + T^{−1} has a positive semidefinite symmetric part. That is so if ‖I − T‖ ≤ 1
and D ≥ −½ (LegS, LagT), as T^{−1} − ½ then has one; and if T + Tᵀ ≥ 0 and D ≥ 0 (LegT). Parameters
outside the region are projected to its boundary.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.ssm import tridiagonal
from forecaster.ssm.hippo import Measure

Bands = tuple[Tensor, Tensor, Tensor]


def generators(measure: Measure, N: int) -> dict[str, Tensor]:
    """log(−P), log Q, D and T of a HiPPO matrix, in float64."""
    n = torch.arange(N, dtype=torch.float64)
    zero, one = torch.zeros_like(n), torch.ones_like(n)
    log_r = 0.5 * (2 * n + 1).log()
    if measure == "lagt":
        return {
            "log_p": zero,
            "log_q": zero,
            "D": zero,
            "lower": -one[1:],
            "diag": one,
            "upper": zero[1:],
        }
    if measure == "legs":
        D = -n / (2 * n + 1)
        return {
            "log_p": log_r,
            "log_q": log_r,
            "D": D,
            "lower": -one[1:],
            "diag": one,
            "upper": zero[1:],
        }
    diag = zero.clone()
    diag[0] += 0.5
    diag[-1] += 0.5
    return {
        "log_p": log_r,
        "log_q": log_r,
        "D": zero,
        "lower": -one[1:] / 2,
        "diag": diag,
        "upper": one[1:] / 2,
    }


def _neighbour_sums(first: Tensor, second: Tensor) -> Tensor:
    """(N,) sums of two tensors (N − 1,): ``first`` at the indices 1…N−1, ``second`` at 0…N−2."""
    return nn.functional.pad(first, (1, 0)) + nn.functional.pad(second, (0, 1))


def near_identity(lower: Tensor, diag: Tensor, upper: Tensor) -> Bands:
    """T with ‖I − T‖₂ ≤ 1: entry (i, j) of K = I − T is divided by √(ρ_i κ_j).

    ρ and κ are the row and column sums of |K|, at least 1. Schur's test gives the bound; a T whose
    sums are at most 1 is unchanged.
    """
    k = 1 - diag
    one = torch.ones_like(k)
    rows = torch.maximum(k.abs() + _neighbour_sums(lower.abs(), upper.abs()), one).sqrt()
    columns = torch.maximum(k.abs() + _neighbour_sums(upper.abs(), lower.abs()), one).sqrt()
    return (
        lower / (rows[..., 1:] * columns[..., :-1]),
        1 - k / (rows * columns),
        upper / (rows[..., :-1] * columns[..., 1:]),
    )


def accretive(lower: Tensor, diag: Tensor, upper: Tensor) -> Bands:
    """T with T + Tᵀ ≥ 0: the diagonal is raised to dominance of the symmetric part (Gershgorin)."""
    symmetric = ((lower + upper) / 2).abs()
    return lower, torch.maximum(diag, _neighbour_sums(symmetric, symmetric)), upper


class Quasiseparable(nn.Module):
    """H matrices A = P(D + T^{−1})Q, as parameters or as buffers."""

    log_p: Tensor
    log_q: Tensor
    D: Tensor
    lower: Tensor
    diag: Tensor
    upper: Tensor

    def __init__(self, measure: Measure, copies: int, N: int, trainable: bool) -> None:
        super().__init__()
        self.stable, self.floor = (accretive, 0.0) if measure == "legt" else (near_identity, -0.5)
        for name, value in generators(measure, N).items():
            value = value.to(torch.get_default_dtype()).repeat(copies, 1)
            if trainable:
                self.register_parameter(name, nn.Parameter(value))
            else:  # determined by the configuration, so not saved with the weights
                self.register_buffer(name, value, persistent=False)

    def parts(
        self,
    ) -> tuple[Float[Tensor, "H N"], Float[Tensor, "H N"], Float[Tensor, "H N"], Bands]:
        """P, Q, D and T's bands, inside the stable region."""
        bands = self.stable(self.lower, self.diag, self.upper)
        return -self.log_p.exp(), self.log_q.exp(), self.D.clamp(min=self.floor), bands

    def multiply(self, v: Float[Tensor, "*b H N"]) -> Float[Tensor, "*b H N"]:
        """A v, in O(N)."""
        P, Q, D, T = self.parts()
        return P * (D * Q * v + tridiagonal.solve(*T, Q * v))

    def solve(self, v: Float[Tensor, "*b H N"], h: Float[Tensor, " H"]) -> Float[Tensor, "*b H N"]:
        """(I − hA)^{−1} v, in O(N)."""
        P, Q, D, (lower, diag, upper) = self.parts()
        E, PQ = 1 - h[:, None] * P * D * Q, h[:, None] * P * Q
        w = tridiagonal.solve(E[:, 1:] * lower, E * diag - PQ, E[:, :-1] * upper, Q * v)
        return tridiagonal.multiply(lower, diag, upper, w) / Q
