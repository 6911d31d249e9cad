"""Perturb-then-diagonalise (Yu et al., ICLR 2024).

symbol   code   in
E        E      Ã = A + E = V Λ V^{−1}, ‖E‖₂ = ``size``

LegS is so far from normal that its own eigenvectors have a condition number exponential in N; after
a small perturbation they do not. The transfer function is then off by C(s−Ã)^{−1}E(s−A)^{−1}B =
O(‖E‖), uniformly in s, as ‖(s−A)^{−1}‖ ≤ 2 on the imaginary axis. E is skew, so Ã + Ãᵀ = A + Aᵀ ≤
−I and every eigenvalue has a real part ≤ −½; its entries grow like √((2n+1)(2k+1)), as A's do.
"""

from functools import lru_cache

import torch
from jaxtyping import Float64
from torch import Tensor

from forecaster.ssm.hippo import legs
from forecaster.ssm.modes import Modes, one_of_each_pair

SIZE = 0.2  # smaller is closer to LegS, larger is better conditioned
DRAWS = 8


def perturbation(N: int, size: float, seed: int) -> Float64[Tensor, "N N"]:
    """A skew Gaussian matrix with ‖E‖₂ = ``size`` (0 for N = 1), the same at every call."""
    G = torch.randn(N, N, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    _, r = legs(N)
    E = (G - G.T) * torch.outer(r, r)
    return E if N == 1 else size * E / torch.linalg.matrix_norm(E, 2)


@lru_cache(maxsize=16)
def ptd_modes(N: int, size: float = SIZE) -> Modes:
    """The modes of LegS + E, for the best conditioned V among a few draws of E."""
    if not size > 0:
        raise ValueError(
            f"LegS cannot be diagonalised without a perturbation: its size is positive, not {size}"
        )
    A, _ = legs(N)
    candidates = [torch.linalg.eig(A + perturbation(N, size, seed)) for seed in range(DRAWS)]
    lam, V = min(candidates, key=lambda candidate: float(torch.linalg.cond(candidate[1])))
    return one_of_each_pair(lam, V, torch.linalg.inv(V))
