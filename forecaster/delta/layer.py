"""DeltaNet, Gated DeltaNet and DeltaProduct as one layer, with the state-space layers' protocol."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from forecaster.config.sections import Section, Size
from forecaster.delta import rule


class DeltaOptions(Section):
    """What distinguishes the delta-rule layers.

    ``gate``: a decay α from the input (Gated DeltaNet). ``beta``: the end of β's range, where 2
    allows negative eigenvalues. ``steps``: Householder steps a token (DeltaProduct). ``heads``:
    states side by side. ``convolution``: rows that keys, values and queries are made of.
    """

    gate: bool = False
    beta: Literal[1, 2] = 1
    steps: Annotated[int, Field(gt=0, le=8)] = 1
    heads: Size = 2
    convolution: Size = 4


def check_options(
    options: DeltaOptions, used: bool, layer_name: str, width: int, width_name: str
) -> None:
    """Raise ValueError unless they fit the layer's ``width``, or another layer leaves them alone.

    For validators of settings; ``used``: the setting ``layer_name`` is ``delta``.
    """
    if not used and options != DeltaOptions():
        raise ValueError(f"delta holds options of {layer_name} delta alone")
    if used and width % options.heads:
        raise ValueError(
            f"delta.heads {options.heads} has to divide {width_name} {width}; change one of them"
        )


class DeltaRule(nn.Module):
    """Keys, values, queries, β and α of a short causal convolution; y = Sq + Du.

    Every head has H/heads of the H features as values, and keys of size N (``state``). Training is
    chunked: O(L·C·(N + H/heads) + L·N·H/heads) a head for chunks of C. ``dt_min``, ``dt_max``: the
    range of the heads' initial decays −log α. The state, (B, ·), is S of all heads and the last
    rows of the convolution.
    """

    def __init__(
        self,
        features: int,
        state: int = 64,
        options: DeltaOptions | None = None,
        dt_min: float = 1e-3,
        dt_max: float = 1e-1,
    ) -> None:
        super().__init__()
        options = options or DeltaOptions()
        heads, n = options.heads, options.steps
        if features % heads:
            raise ValueError(f"heads {heads} has to divide the number of features, {features}")
        self.heads, self.beta_range, self.sizes = heads, options.beta, (features // heads, state)
        self.convolution = nn.Conv1d(features, features, options.convolution, groups=features)
        self.query = nn.Linear(features, heads * state)
        self.key = nn.Linear(features, heads * n * state)
        self.value = nn.Linear(features, n * features)
        self.beta = nn.Linear(features, heads * n)
        self.decay = nn.Linear(features, heads) if options.gate else None
        if self.decay is not None:
            place = (torch.arange(heads) + 0.5) / heads
            start = dt_min * (dt_max / dt_min) ** place
            with torch.no_grad():
                self.decay.bias.copy_(start.expm1().log())  # of which softplus is the inverse
        self.D = nn.Parameter(torch.randn(features))

    def forward(self, u: Float[Tensor, "B H L"], rate: float = 1.0) -> Float[Tensor, "B H L"]:
        """The output for a whole sequence, from rest, chunk by chunk."""
        return self.run(u, None, rate)[0]

    def run(
        self,
        u: Float[Tensor, "B H L"],
        state: Float[Tensor, "B n"] | None = None,
        rate: float = 1.0,
    ) -> tuple[Float[Tensor, "B H L"], Float[Tensor, "B n"]]:
        """The output from ``state`` (rest if None), and the state after the last input."""
        _check_rate(rate)
        S, rows = self._split(self.initial(len(u)) if state is None else state)
        rows = torch.cat([rows, u], dim=-1)
        x = self.convolution(rows).mT  # (B, L, H)
        o, S = rule.chunked(*self._inputs(x), S)
        y = o.unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(2).mT + self.D[:, None] * u
        return y, self._join(S, rows[..., u.shape[-1] :])

    def step(
        self, u: Float[Tensor, "B H"], state: Float[Tensor, "B n"], rate: float = 1.0
    ) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B n"]]:
        """One step of the recurrence, whose cost does not depend on how long the past is."""
        _check_rate(rate)
        S, rows = self._split(state)
        rows = torch.cat([rows, u[..., None]], dim=-1)
        q, k, v, beta, log_alpha = self._inputs(self.convolution(rows).mT)
        o, S = rule.step(q[:, 0], k[:, 0], v[:, 0], beta[:, 0], log_alpha[:, 0], S)
        return o.view(u.shape) + self.D * u, self._join(S, rows[..., 1:])

    def initial(self, batch: int) -> Float[Tensor, "B n"]:
        """The state at rest."""
        values, keys = self.sizes
        size = self.heads * values * keys + len(self.D) * (self.convolution.kernel_size[0] - 1)
        return torch.zeros_like(self.D[:1]).expand(batch, size)

    def _inputs(self, x: Float[Tensor, "B L H"]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """q, k, v, β and log α of the heads, (B·heads, L, …)."""
        values, keys = self.sizes
        q = F.normalize(self._heads(self.query(x), keys), dim=-1)[..., 0, :]
        k = F.normalize(self._heads(self.key(x), keys), dim=-1)
        v = self._heads(self.value(x), values)
        beta = self.beta_range * self._heads(self.beta(x), 1)[..., 0].sigmoid()
        if self.decay is None:
            return q, k, v, beta, torch.zeros_like(beta[..., 0])
        return q, k, v, beta, -F.softplus(self._heads(self.decay(x), 1)[..., 0, 0])

    def _heads(self, x: Float[Tensor, "B L all"], size: int) -> Float[Tensor, "Bh L n size"]:
        return x.unflatten(-1, (self.heads, -1, size)).transpose(1, 2).flatten(0, 1)

    def _split(self, state: Float[Tensor, "B n"]) -> tuple[Tensor, Tensor]:
        """S (B·heads, D, N), and the convolution's last rows (B, H, ·)."""
        values, keys = self.sizes
        size = self.heads * values * keys
        rows = state[:, size:].view(len(state), len(self.D), self.convolution.kernel_size[0] - 1)
        return state[:, :size].reshape(-1, values, keys), rows

    @staticmethod
    def _join(S: Float[Tensor, "Bh D N"], rows: Float[Tensor, "B H m"]) -> Float[Tensor, "B n"]:
        return torch.cat([S.reshape(len(rows), -1), rows.flatten(1)], dim=1)


def _check_rate(rate: float) -> None:
    if rate != 1:
        raise ValueError(f"the delta rule has no step size, so the rate is 1, not {rate}")
