"""LSSL (Gu et al., NeurIPS 2021): a HiPPO system for each feature, with M outputs.

It is discretised by the generalised bilinear transform.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.ssm import krylov
from forecaster.ssm.convolution import convolve
from forecaster.ssm.discretise import StepSize
from forecaster.ssm.dynamics import Cached, Structured
from forecaster.ssm.hippo import Measure


class LSSL(nn.Module):
    """One system of state N and M outputs a feature, as a recurrence and as a convolution.

    ``trainable``: A (in the quasiseparable class), B and Δ are trained along with C and D; the
    kernel's cost is in ``Structured``. Otherwise LSSL-fixed, where only C and D are, and the
    powers of Ā are cached (``Cached``). Feature h's outputs are the channels h·M … h·M + M − 1.
    The state is real, (B, H, N).
    """

    def __init__(
        self,
        features: int,
        state: int = 64,
        outputs: int = 1,
        trainable: bool = True,
        alpha: float = 0.5,
        measure: Measure = "legs",
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
    ) -> None:
        super().__init__()
        dynamics = Structured(
            measure, state, alpha, StepSize(features, dt_min, dt_max, trainable), trainable
        )
        self.dynamics: Structured | Cached = dynamics if trainable else Cached(dynamics)
        self.C = nn.Parameter(torch.randn(features, outputs, state))
        self.D = nn.Parameter(torch.randn(features, outputs))

    def kernel(self, L: int, rate: float = 1.0) -> Float[Tensor, "H M L"]:
        """K_l = C Ā^l B̄ for l < L."""
        return self.dynamics.kernel(self.C, L, rate)

    def forward(self, u: Float[Tensor, "B H L"], rate: float = 1.0) -> Float[Tensor, "B HM L"]:
        """The output for a whole sequence, from rest, by convolution."""
        y = convolve(self.kernel(u.shape[-1], rate), u) + self.D[..., None] * u[:, :, None]
        return y.flatten(1, 2)

    def run(
        self,
        u: Float[Tensor, "B H L"],
        state: Float[Tensor, "B H N"] | None = None,
        rate: float = 1.0,
    ) -> tuple[Float[Tensor, "B HM L"], Float[Tensor, "B H N"]]:
        """The output from ``state`` (rest if None), and the state after the last input."""
        y = self(u, rate)
        A, B = self.dynamics.matrices(rate)
        x = krylov.last_state(A, B, u)
        if state is not None:
            response, remainder = krylov.free_response(A, self.C, state, u.shape[-1])
            y, x = y + response.flatten(1, 2), x + remainder
        return y, x

    def step(
        self, u: Float[Tensor, "B H"], state: Float[Tensor, "B H N"], rate: float = 1.0
    ) -> tuple[Float[Tensor, "B HM"], Float[Tensor, "B H N"]]:
        """One step of the recurrence: O(HN) by the structured solve, O(HN²) with a cached Ā."""
        state = self.dynamics.advance(state, u, rate)
        y = torch.einsum("hmn,bhn->bhm", self.C, state) + self.D * u[..., None]
        return y.flatten(1, 2), state

    def initial(self, batch: int) -> Float[Tensor, "B H N"]:
        """The state at rest."""
        return torch.zeros_like(self.C[:, 0]).expand(batch, -1, -1)
