"""The reverse walk over any grid of steps. It knows a process and a denoiser, nothing else."""

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from forecaster.diffusion.process import Process

Predict = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[int], Tensor]


def step_grid(total: int, steps: int) -> list[int]:
    """``steps`` + 1 decreasing steps from ``total`` to 0, as evenly spaced as whole numbers allow."""
    if not 1 <= steps <= total:
        raise ValueError(f"the number of steps lies between 1 and {total}, not {steps}")
    return [round(total * (steps - i) / steps) for i in range(steps + 1)]


def sample(
    process: Process,
    predict: Predict,
    h: Float[Tensor, "B K M"],
    noise: Noise,
    grid: list[int],
    s: float,
    full_first: bool = False,
) -> Float[Tensor, "B K M"]:
    """Walk from y_T to y_0 along ``grid``, a decreasing list of steps that ends at 0.

    ``predict(y_t, t)`` gives ŷ_0, with t (B,). ``noise(i)`` gives the standard normal draw (B, K, M) of the i-th step
    (0 is the start); it is asked only where noise is wanted, so s = 0 on the bridge draws none.
    """
    starts_noisy = float(process.b[grid[0]]) > 0
    y = process.start(h, noise(0)) if starts_noisy else h * process.g[grid[0]].to(h.dtype)
    for i, (t, u) in enumerate(pairwise(grid), start=1):
        y_0 = predict(y, torch.full((len(y),), t, device=y.device))
        kappa, lam, zeta, sigma = process.coefficients(t, u, s, full_first)
        y = kappa * y + lam * y_0 + zeta * h
        if sigma > 0:
            y = y + sigma * noise(i)
    return y
