"""S4D (Gu et al., 2022): a diagonal A under the zero-order hold; and S4-PTD.

start   Λ                                                  B
legs    of LegS's normal part, without the low rank        half of LegS's (for smooth inputs)
lin     −½ + iπn                                           1
inv     −½ + i(N/π)(N/(2n+1) − 1)                          1
ptd     of LegS + E, close to LegS at every frequency      LegS's, in the eigenbasis (``ptd.py``)
"""

import math
from typing import Literal

import torch
from jaxtyping import Complex, Complex128, Float
from torch import Tensor, nn

from forecaster.ssm.convolution import convolve
from forecaster.ssm.discretise import StepSize, zoh_diagonal
from forecaster.ssm.hippo import legs
from forecaster.ssm.modes import Eigenvalues, Modes, pair, unpair
from forecaster.ssm.nplr import legs_modes
from forecaster.ssm.ptd import ptd_modes
from forecaster.ssm.vandermonde import last_state, vandermonde

Start = Literal["legs", "lin", "inv", "ptd"]
Parts = tuple[Complex128[Tensor, " m"], Complex128[Tensor, " m"], Complex128[Tensor, "H m"]]


def _from_legs(modes: Modes, gain: float, features: int) -> Parts:
    """Λ, ``gain``·B of LegS and a random real C, in the eigenbasis."""
    N = modes.V.shape[0]
    C = torch.randn(features, N, dtype=torch.float64)
    return modes.lam, gain * modes.W @ legs(N)[1].to(modes.W.dtype), C.to(modes.V.dtype) @ modes.V


def _from_frequencies(frequency: Tensor, features: int) -> Parts:
    """Λ = −½ + i·frequency, B = 1 and a random C."""
    lam = torch.complex(torch.full_like(frequency, -0.5), frequency)
    return lam, torch.ones_like(lam), torch.randn(features, len(lam), dtype=lam.dtype)


def _start(start: Start, N: int, features: int) -> Parts:
    n = torch.arange((N + 1) // 2, dtype=torch.float64)
    if start == "legs":
        return _from_legs(legs_modes(N)[0], 0.5, features)
    if start == "ptd":
        return _from_legs(ptd_modes(N), 1.0, features)
    return _from_frequencies(
        math.pi * n if start == "lin" else N / math.pi * (N / (2 * n + 1) - 1), features
    )


class S4D(nn.Module):
    """One system of state N a feature; Λ, B, C, D and Δ are trained, and Re Λ stays negative.

    The kernel costs O(HNL) and memory O(HN√L + HL). The state is complex, (B, H, m): m is ⌈N/2⌉, or
    a little more with ``ptd``, where some eigenvalues are real.
    """

    def __init__(
        self,
        features: int,
        state: int = 64,
        start: Start = "legs",
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
    ) -> None:
        super().__init__()
        lam, B, C = _start(start, state, features)
        self.eigenvalues = Eigenvalues(lam.repeat(features, 1))
        self.B, self.C = pair(B.repeat(features, 1)), pair(C)
        self.D = nn.Parameter(torch.randn(features))
        self.dt = StepSize(features, dt_min, dt_max)

    def system(self, rate: float = 1.0) -> tuple[Complex[Tensor, "H m"], Complex[Tensor, "H m"]]:
        """ΔΛ and B̄."""
        exponent, gain = zoh_diagonal(self.eigenvalues(), self.dt(rate)[:, None])
        return exponent, gain * unpair(self.B)

    def kernel(self, L: int, rate: float = 1.0) -> Float[Tensor, "H L"]:
        """K_l = 2 Re Σ_n C_n Λ̄_n^l B̄_n for l < L."""
        exponent, B = self.system(rate)
        return vandermonde(unpair(self.C) * B, exponent, L)

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
        L, y = u.shape[-1], self(u, rate)
        exponent, B = self.system(rate)
        x = B * last_state(exponent, u)
        if state is not None:
            y = y + vandermonde(unpair(self.C) * exponent.exp() * state, exponent, L)
            x = x + (L * exponent).exp() * state
        return y, x

    def step(
        self, u: Float[Tensor, "B H"], state: Complex[Tensor, "B H m"], rate: float = 1.0
    ) -> tuple[Float[Tensor, "B H"], Complex[Tensor, "B H m"]]:
        """One step of the recurrence, in O(HN)."""
        exponent, B = self.system(rate)
        state = exponent.exp() * state + B * u[..., None]
        return 2 * (unpair(self.C) * state).real.sum(-1) + self.D * u, state

    def initial(self, batch: int) -> Complex[Tensor, "B H m"]:
        """The state at rest."""
        return torch.zeros_like(unpair(self.C)).expand(batch, -1, -1)
