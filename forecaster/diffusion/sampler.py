"""Reverse sampling over any grid of steps, for any process and denoiser."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.diffusion.process import Process

Predict = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[int], Tensor]


def step_grid(total: int, steps: int | Sequence[int]) -> list[int]:
    """The grid of diffusion steps, from ``total`` down to 0.

    ``steps``: the number of network calls, spaced evenly up to rounding, or the steps at which the
    network is called, descending from ``total``.
    """
    if isinstance(steps, int):
        if not 1 <= steps <= total:
            raise ValueError(f"the number of steps lies between 1 and {total}, not {steps}")
        return [round(total * (steps - i) / steps) for i in range(steps + 1)]
    grid = [*steps, 0]
    if grid[0] != total or any(t <= u for t, u in pairwise(grid)):
        raise ValueError(
            f"the steps fall from {total} to 1 at the least, not {', '.join(map(str, steps))}"
        )
    return grid


def sample(
    process: Process,
    predict: Predict,
    h: Float[Tensor, "B K M"],
    noise: Noise,
    grid: list[int],
    s: float,
    full_first: bool = False,
    deviation: Callable[[int], float] = lambda t: 0.0,
) -> Float[Tensor, "B K M"]:
    """Reverse sampling from y_T to y_0 along ``grid``, which descends from T to 0.

    ``predict(y_t, t)`` returns ŷ_0, with t (B,). ``noise(i)`` returns the standard normal draw
    (B, K, M) of the i-th step (0: y_T); it is called only where σ > 0, so s = 0 on the bridge draws
    nothing. ``deviation(t)``: that of y_0 given y_t, as far as ŷ_0 leaves it out; a
    step adds its share of it, λ·deviation(t), scaled by √(s/2) as σ is. So if y_0 given y_t is
    normal, steps of any length draw from the path exactly.
    """
    if grid[0] != process.steps or grid[-1] != 0:
        raise ValueError(
            f"the walk goes from {process.steps} to 0, not from {grid[0]} to {grid[-1]}"
        )
    starts_noisy = float(process.b[-1]) > 0
    y = process.start(h, noise(0)) if starts_noisy else h * process.g[-1].to(h.dtype)
    for i, (t, u) in enumerate(pairwise(grid), start=1):
        y_0 = predict(y, torch.full((len(y),), t, device=y.device))
        kappa, lam, zeta, sigma = process.coefficients(t, u, s, full_first)
        y = kappa * y + lam * y_0 + zeta * h
        sigma = math.hypot(sigma, lam * deviation(t) * (s / 2) ** 0.5)
        if sigma > 0:
            y = y + sigma * noise(i)
    return y
