"""The deterministic path from noise to data where data are white noise, and samples by its end.

In the residual's coordinates (h = 0) the process is an arc, up to the size of y_t:

    x_t = y_t/√(a_t² + b_t²) = cos θ_t·y_0 + sin θ_t·ε,    tan θ_t = b_t/a_t
    n_t = −dx/dθ             = sin θ_t·y_0 − cos θ_t·ε     (the innovation, see ``Denoiser``)

The walk with s = 0, in steps without end, is

    dx/dθ = −E[n_t | x_t]                                  (the probability-flow equation)

and x has the law of the process at every t. A bridge is pinned, y_T = h, but leaves there in the
direction of its noise: x_t → ε and θ_t → π/2 for t → T. So the path starts at x_T ~ N(0, 1), and
its end is a draw of y_0. A step is

    x_u = x_t + Δ·E[n_t | x_t],    Δ = (cos θ_u − cos θ_t)/sin θ_t

since where y_0 ~ N(μ, 1) E[n_t | x_t] = μ·sin θ_t, and a step of any length is exact.

A consistency function leads to the end from everywhere on the path (Song et al., ICML 2023):

    f(x_t, t) = f(x_u, u),   f(x, 0) = x,   here f(x, t) = x + sin θ_t·N(x, t)

For y_0 ~ N(μ, d²) it is f(x, t) = μ + d·(x − μ·cos θ)/√(d²·cos²θ + sin²θ); for white noise N = 0.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.diffusion.process import Process


class Arc(nn.Module):
    """The angles θ_t of a process, t = 0…T, from 0 to π/2 or nearly so, and the arc over them."""

    angles: Tensor
    sizes: Tensor

    def __init__(self, process: Process) -> None:
        super().__init__()
        pinned = (process.a == 0) & (process.b == 0)
        angles = torch.atan2(process.b, process.a).masked_fill(pinned, torch.pi / 2)
        self.register_buffer("angles", angles, persistent=False)
        self.register_buffer("sizes", torch.hypot(process.a, process.b), persistent=False)

    @property
    def steps(self) -> int:
        """The number of steps T."""
        return len(self.angles) - 1

    def angle(self, t: Int[Tensor, " B"], like: Tensor) -> Float[Tensor, "B 1 1"]:
        """θ_t."""
        return self.angles[t].to(like.dtype)[:, None, None]

    def size(self, t: Int[Tensor, " B"], like: Tensor) -> Float[Tensor, "B 1 1"]:
        """√(a_t² + b_t²), of which y_t is x_t times."""
        return self.sizes[t].to(like.dtype)[:, None, None]

    def mix(
        self, y_0: Float[Tensor, "B K M"], noise: Float[Tensor, "B K M"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K M"]:
        """x_t of data and noise."""
        angle = self.angle(t, y_0)
        return angle.cos() * y_0 + angle.sin() * noise

    def innovation(
        self, y_0: Float[Tensor, "B K M"], noise: Float[Tensor, "B K M"], t: Int[Tensor, " B"]
    ) -> Float[Tensor, "B K M"]:
        """n_t of data and noise."""
        angle = self.angle(t, y_0)
        return angle.sin() * y_0 - angle.cos() * noise

    def step(
        self,
        x: Float[Tensor, "B K M"],
        innovation: Float[Tensor, "B K M"],
        t: Int[Tensor, " B"],
        u: Int[Tensor, " B"],
    ) -> Float[Tensor, "B K M"]:
        """x_u from x_t and an innovation, or its expectation."""
        return x + self.length(t, u, x) * innovation

    def length(
        self, t: Int[Tensor, " B"], u: Int[Tensor, " B"], like: Tensor
    ) -> Float[Tensor, "B 1 1"]:
        """Δ, the length of a step t → u, t > 0."""
        above, below = self.angles[t], self.angles[u]
        length = (below.cos() - above.cos()) / above.sin()
        return length.to(like.dtype)[:, None, None]

    def below(self, t: Int[Tensor, " B"], length: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
        """The u < t to which a step is at least as long as ``length``, or 0 if none is."""
        above = self.angles[t]
        aimed = (above.cos() + length.to(above) * above.sin()).clamp(-1, 1).acos()
        found = torch.searchsorted(self.angles, aimed, right=True) - 1
        return torch.minimum(found, t - 1)


def sample_ends(
    arc: Arc,
    end: Callable[[Tensor, Tensor], Tensor],
    noise: Callable[[int], Tensor],
    grid: list[int],
) -> Float[Tensor, "B K M"]:
    """Ends y_0 of paths that start at noise, one call of ``end(x_t, t)`` a step of ``grid``.

    With more than one step the end is put back on the path by new noise, in between.
    ``noise(i)``: the draw (B, K, M) at the i-th step of the grid.
    """
    x = noise(0)
    steps = torch.ones(len(x), dtype=torch.int64, device=x.device)
    for i, (t, u) in enumerate(pairwise(grid), start=1):
        x = end(x, t * steps)
        if u > 0:
            x = arc.mix(x, noise(i), u * steps)
    return x
