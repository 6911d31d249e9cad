"""S4 (Gu et al., ICLR 2022): LegS as normal plus low rank, under the bilinear transform.

It is trained as a convolution with a Cauchy kernel, and stepped as a recurrence.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from forecaster.ssm import krylov
from forecaster.ssm.cauchy import kernel
from forecaster.ssm.convolution import convolve
from forecaster.ssm.discretise import StepSize
from forecaster.ssm.hippo import legs
from forecaster.ssm.modes import Eigenvalues, pair, unpair
from forecaster.ssm.nplr import NPLR, legs_modes, to_complex, to_real


class S4(nn.Module):
    """One system of state N a feature; Λ, P, B, C, D and Δ are trained, A = Λ − P P* stays stable.

    The kernel is exact for every L: O(HNL) for the Cauchy sums and O(HN³ log L) for the truncation
    C(I − Ā^L), memory O(HNL). The state is complex, (B, H, ⌈N/2⌉).
    """

    def __init__(
        self, features: int, state: int = 64, dt_min: float = 1e-3, dt_max: float = 1e-1
    ) -> None:
        super().__init__()
        modes, P = legs_modes(state)
        _, B = legs(state)
        C = torch.randn(features, state, dtype=torch.float64)
        self.eigenvalues = Eigenvalues(modes.lam.repeat(features, 1))
        self.P = pair(P.repeat(features, 1))
        self.B = pair((modes.W @ B.to(P.dtype)).repeat(features, 1))
        self.C = pair(C.to(P.dtype) @ modes.V)
        self.D = nn.Parameter(torch.randn(features))
        self.dt = StepSize(features, dt_min, dt_max)

    def system(self, rate: float = 1.0) -> NPLR:
        """The continuous system of every feature, with its step."""
        return NPLR(self.eigenvalues(), unpair(self.P), unpair(self.B), self.dt(rate))

    def kernel(self, L: int, rate: float = 1.0) -> Float[Tensor, "H L"]:
        """K_l = C Ā^l B̄ for l < L."""
        system, C = self.system(rate), self._real_C()
        truncated = C - krylov.power(system.dense().mT, C, L)  # Cᵀ − (Ā^L)ᵀ Cᵀ
        return kernel(system, to_complex(truncated[..., 0]).conj() / 2, L)

    def forward(self, u: Float[Tensor, "B H L"], rate: float = 1.0) -> Float[Tensor, "B H L"]:
        """The output for a whole sequence, from rest, by convolution."""
        return convolve(self.kernel(u.shape[-1], rate)[:, None], u)[:, :, 0] + self.D[:, None] * u

    def run(
        self,
        u: Float[Tensor, "B H L"],
        state: Complex[Tensor, "B H m"] | None = None,
        rate: float = 1.0,
    ) -> tuple[Float[Tensor, "B H L"], Complex[Tensor, "B H m"]]:
        """The output from ``state`` (rest if None), and the state after the last input."""
        system, y = self.system(rate), self(u, rate)
        A, rest = system.dense(), torch.zeros_like(system.lam)
        B = to_real(system.advance(rest, torch.ones_like(system.dt)))
        x = krylov.last_state(A, B, u)
        if state is not None:
            response, remainder = krylov.free_response(
                A, self._real_C().mT, to_real(state), u.shape[-1]
            )
            y, x = y + response[:, :, 0], x + remainder
        return y, to_complex(x)

    def step(
        self, u: Float[Tensor, "B H"], state: Complex[Tensor, "B H m"], rate: float = 1.0
    ) -> tuple[Float[Tensor, "B H"], Complex[Tensor, "B H m"]]:
        """One step of the recurrence, in O(HN)."""
        state = self.system(rate).advance(state, u)
        return 2 * (unpair(self.C) * state).real.sum(-1) + self.D * u, state

    def initial(self, batch: int) -> Complex[Tensor, "B H m"]:
        """The state at rest."""
        return torch.zeros_like(unpair(self.C)).expand(batch, -1, -1)

    def _real_C(self) -> Float[Tensor, "H N 1"]:
        """Cᵀ on real vectors: 2 Re(Cz) = 2 Re C Re z − 2 Im C Im z."""
        return to_real(2 * unpair(self.C).conj().resolve_conj())[..., None]
