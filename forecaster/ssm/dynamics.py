"""The recurrence of an LSSL: x_k = Ā x_{k−1} + B̄ u_k, structured and trainable, or cached.

symbol   code    in
Ā, B̄     A, B    the generalised bilinear transform of A and B with step Δ and 0 ≤ α ≤ 1
                 (``discretise.py``)
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.ssm import krylov
from forecaster.ssm.discretise import StepSize, check_alpha
from forecaster.ssm.hippo import HIPPO, Measure
from forecaster.ssm.quasiseparable import Quasiseparable


class Structured(nn.Module):
    """A quasiseparable A, B and Δ for each feature: parameters if ``trainable``, else constants."""

    B: Tensor

    def __init__(
        self, measure: Measure, N: int, alpha: float, dt: StepSize, trainable: bool
    ) -> None:
        super().__init__()
        H = len(dt.log_dt)
        self.alpha, self.dt = check_alpha(alpha), dt
        self.A = Quasiseparable(measure, H, N, trainable)
        B = HIPPO[measure](N)[1].to(torch.get_default_dtype()).repeat(H, 1)
        if trainable:
            self.B = nn.Parameter(B)
        else:
            self.register_buffer("B", B, persistent=False)

    def advance(
        self, x: Float[Tensor, "*b H N"], u: Float[Tensor, "*b H"], rate: float = 1.0
    ) -> Float[Tensor, "*b H N"]:
        """(I − αΔA)^{−1} ((I + (1−α)ΔA) x + ΔB u), in O(HN)."""
        dt = self.dt(rate)
        right = x + dt[:, None] * ((1 - self.alpha) * self.A.multiply(x) + self.B * u[..., None])
        return self.A.solve(right, self.alpha * dt)

    def matrices(self, rate: float = 1.0) -> tuple[Float[Tensor, "H N N"], Float[Tensor, "H N"]]:
        """Ā and B̄: ``advance`` of the unit vectors, in O(HN²)."""
        H, N = self.B.shape
        units = torch.eye(N, dtype=self.B.dtype, device=self.B.device)[:, None].expand(N, H, N)
        A = self.advance(units, self.B.new_zeros(N, H), rate).permute(1, 2, 0)
        return A, self.advance(torch.zeros_like(self.B), self.B.new_ones(H), rate)

    def kernel(
        self, C: Float[Tensor, "H M N"], L: int, rate: float = 1.0
    ) -> Float[Tensor, "H M L"]:
        """K_l = C Ā^l B̄ for l < L.

        O(N³ log L + MN²√L + MNL) a feature; memory O(N² log L + MN√L + ML).
        """
        A, B = self.matrices(rate)
        return krylov.response(A, C, B[..., None], L)[..., 0]


class Cached(nn.Module):
    """Constant dynamics with K = C·(Ā^l B̄): Ā, B̄ and the Ā^l B̄ of the last length are cached.

    Memory O(HNL).
    """

    def __init__(self, dynamics: Structured) -> None:
        super().__init__()
        self.dynamics = dynamics
        self._cache: dict[str, tuple[tuple[float | int, ...], tuple[Tensor, Tensor]]] = {}

    def advance(
        self, x: Float[Tensor, "*b H N"], u: Float[Tensor, "*b H"], rate: float = 1.0
    ) -> Float[Tensor, "*b H N"]:
        """Ā x + B̄ u."""
        A, B = self.matrices(rate)
        return torch.einsum("hmn,...hn->...hm", A, x) + B * u[..., None]

    def matrices(self, rate: float = 1.0) -> tuple[Float[Tensor, "H N N"], Float[Tensor, "H N"]]:
        """Ā and B̄."""
        return self._cached("matrices", (rate,), lambda: self.dynamics.matrices(rate))

    def kernel(
        self, C: Float[Tensor, "H M N"], L: int, rate: float = 1.0
    ) -> Float[Tensor, "H M L"]:
        """K_l = C Ā^l B̄ for l < L, in O(MNL) a feature once the powers are cached."""

        def powers() -> tuple[Tensor, Tensor]:
            A, B = self.matrices(rate)
            return A, krylov.krylov(A, B[..., None], L)[..., 0]

        return C @ self._cached("powers", (rate, L), powers)[1]

    def _cached(
        self, name: str, key: tuple[float | int, ...], compute: Callable[[], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """The result of ``compute``, cached for the last key of each name."""
        known = self._cache.get(name)
        if known is None or known[0] != key:
            # a result first computed in validation is also used in the training that follows
            with torch.inference_mode(False), torch.no_grad():
                known = self._cache[name] = (key, compute())
        return known[1]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Cached":
        """Clear the cache when the constants' precision or device changes."""
        self._cache.clear()
        return super()._apply(fn, recurse)
