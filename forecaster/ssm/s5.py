"""S5 (Smith et al., ICLR 2023): a diagonal system with many inputs and outputs; and S5-PTD.

It is computed by a parallel scan.

start   Λ and the basis V of B and C
legs    of LegS's normal part
ptd     of LegS + E (``ptd.py``)
"""

from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from forecaster.ssm.discretise import StepSize, zoh_diagonal
from forecaster.ssm.modes import Eigenvalues, pair, unpair
from forecaster.ssm.nplr import legs_modes
from forecaster.ssm.ptd import ptd_modes
from forecaster.ssm.scan import scan


class S5(nn.Module):
    """x' = Λx + Bu, y = 2 Re(Cx) + Du with one state for all H features.

    Λ, B, C, D and Δ are trained, Re Λ stays negative. Δ belongs to a mode, not to a feature, as
    there is one system; it is discretised by the zero-order hold. Memory O(B·m·L) for the states.
    The state is complex, (B, m): m is ⌈N/2⌉, or a little more with ``ptd``, where some eigenvalues
    are real.
    """

    def __init__(
        self,
        features: int,
        state: int = 64,
        start: Literal["legs", "ptd"] = "legs",
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
    ) -> None:
        super().__init__()
        modes = ptd_modes(state) if start == "ptd" else legs_modes(state)[0]
        B = torch.randn(state, features, dtype=torch.float64) / features**0.5
        C = torch.randn(features, state, dtype=torch.float64) / state**0.5
        self.eigenvalues = Eigenvalues(modes.lam)
        self.B, self.C = pair(modes.W @ B.to(modes.W.dtype)), pair(C.to(modes.V.dtype) @ modes.V)
        self.D = nn.Parameter(torch.randn(features))
        self.dt = StepSize(len(modes.lam), dt_min, dt_max)

    def system(self, rate: float = 1.0) -> tuple[Complex[Tensor, " m"], Complex[Tensor, "m H"]]:
        """ΔΛ and B̄."""
        exponent, gain = zoh_diagonal(self.eigenvalues(), self.dt(rate))
        return exponent, gain[:, None] * unpair(self.B)

    def forward(self, u: Float[Tensor, "B H L"], rate: float = 1.0) -> Float[Tensor, "B H L"]:
        """The output for a whole sequence, from rest, by a scan."""
        return self.run(u, None, rate)[0]

    def run(
        self,
        u: Float[Tensor, "B H L"],
        state: Complex[Tensor, "B m"] | None = None,
        rate: float = 1.0,
    ) -> tuple[Float[Tensor, "B H L"], Complex[Tensor, "B m"]]:
        """The output from ``state`` (rest if None), and the state after the last input."""
        exponent, B = self.system(rate)
        lam = exponent.exp()
        inputs = B @ u.to(B.dtype)  # (B, m, L)
        if state is not None:
            inputs = torch.cat(
                [inputs[..., :1] + (lam * state)[..., None], inputs[..., 1:]], dim=-1
            )
        x = scan(lam[:, None].expand(-1, u.shape[-1]), inputs)
        return 2 * (unpair(self.C) @ x).real + self.D[:, None] * u, x[..., -1]

    def step(
        self, u: Float[Tensor, "B H"], state: Complex[Tensor, "B m"], rate: float = 1.0
    ) -> tuple[Float[Tensor, "B H"], Complex[Tensor, "B m"]]:
        """One step of the recurrence, in O(HN)."""
        exponent, B = self.system(rate)
        state = exponent.exp() * state + u.to(B.dtype) @ B.mT
        return 2 * (state @ unpair(self.C).mT).real + self.D * u, state

    def initial(self, batch: int) -> Complex[Tensor, "B m"]:
        """The state at rest."""
        return torch.zeros_like(unpair(self.C)[0]).expand(batch, -1)
