"""The Gaussian diffusion path of all diffusion forecasters (arXiv 2411.04491, theorem 1).

    forward marginal    y_t = a_t·y_0 + g_t·h + b_t·ε
    start               y_T ~ N(g_T·h, b_T²)            (a_T is 0 or nearly so)
    reverse t → u       y_u = κ·y_t + λ·ŷ_0 + ζ·h + σ·z
                        κ = √(b_u² − σ²)/b_t,  λ = a_u − a_t·κ,  ζ = g_u − g_t·κ
    exact posterior     σ² = (b_t² − (a_t/a_u)²·b_u²)·b_u²/b_t²

``s`` scales that variance by s/2: 2 is the exact Bayes posterior, 0 is deterministic (η² = s/2 in
DDIM's terms).
"""

from jaxtyping import Float, Int
from torch import Tensor, nn

from forecaster.diffusion.schedules import Schedule


class Process(nn.Module):
    """A schedule as buffers, with the forward marginal and the reverse step."""

    a: Tensor
    g: Tensor
    b: Tensor

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        for name in ("a", "g", "b"):
            # determined by the configuration, so not saved with the weights
            self.register_buffer(name, getattr(schedule, name).clone(), persistent=False)

    @property
    def steps(self) -> int:
        """The number of diffusion steps T."""
        return len(self.a) - 1

    def mix(
        self,
        y_0: Float[Tensor, "B K M"],
        h: Float[Tensor, "B K M"],
        noise: Float[Tensor, "B K M"],
        t: Int[Tensor, " B"],
    ) -> Float[Tensor, "B K M"]:
        """A draw of the forward marginal at step t (one t a window)."""
        a, g, b = (c[t].to(y_0.dtype)[:, None, None] for c in (self.a, self.g, self.b))
        return a * y_0 + g * h + b * noise

    def start(
        self, h: Float[Tensor, "B K M"], noise: Float[Tensor, "B K M"]
    ) -> Float[Tensor, "B K M"]:
        """y_T; on the bridge b_T = 0, so it is h."""
        return self.g[-1].to(h.dtype) * h + self.b[-1].to(h.dtype) * noise

    def coefficients(
        self, t: int, u: int, s: float, full_first: bool = False
    ) -> tuple[float, float, float, float]:
        """(κ, λ, ζ, σ) of the reverse step t → u, 0 ≤ u < t ≤ T, in float64.

        If b_t = 0 (the bridge's y_T = h), y_t has no noise: κ = 0, and the posterior is the
        marginal at u. With ``full_first`` σ is then b_u for any s > 0.
        """
        if not 0 <= u < t <= self.steps:
            raise ValueError(f"a reverse step goes from t to a smaller u ≥ 0, not from {t} to {u}")
        a_t, g_t, b_t = (float(c[t]) for c in (self.a, self.g, self.b))
        a_u, g_u, b_u = (float(c[u]) for c in (self.a, self.g, self.b))
        if b_t == 0.0:
            fraction = 1.0 if full_first and s > 0 else s / 2
            return 0.0, a_u, g_u, b_u * fraction**0.5
        variance = s / 2 * max(b_t**2 - (a_t / a_u) ** 2 * b_u**2, 0.0) * b_u**2 / b_t**2
        kappa = max(b_u**2 - variance, 0.0) ** 0.5 / b_t
        return kappa, a_u - a_t * kappa, g_u - g_t * kappa, variance**0.5
