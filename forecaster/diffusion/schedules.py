"""Schedules: each diffusion forecaster's path as three coefficient vectors over t = 0…T, in
float64.

symbol   code   in   y_t = a_t·y_0 + g_t·h + b_t·ε                  (arXiv 2411.04491, theorem 1)
α̂_t      a      weight of the data
γ_t      g      weight of the prior forecast h
β_t      b      standard deviation of the noise
ᾱ_t      alpha_bar   the product of (1 − β_s) over s ≤ t in the DDPM papers' notation
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor


@dataclass(frozen=True)
class Schedule:
    """Coefficients ``a``, ``g``, ``b``, each (T+1,), float64."""

    a: Float64[Tensor, " T1"]
    g: Float64[Tensor, " T1"]
    b: Float64[Tensor, " T1"]


def bridge(steps: int) -> Schedule:
    """S²DBM's Brownian bridge: a_t = 1 − t/T, g_t = t/T, b_t = √(2·a_t·(1−a_t)); both ends are
    pinned.
    """
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    return Schedule(1 - t, t, (2 * (1 - t) * t).sqrt())


def ddpm(betas: Float64[Tensor, " T"], pull_to_prior: bool = False) -> Schedule:
    """DDPM (CSDI, SSSD, TimeDiff): a_t = √ᾱ_t, b_t = √(1−ᾱ_t); with ``pull_to_prior`` (TMDM) g_t =
    1 − √ᾱ_t, else 0.
    """
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)])
    left = int((alpha_bar >= torch.finfo(torch.float64).tiny).sum())
    if left < len(alpha_bar):
        raise ValueError(f"nothing is left of the data after {left} of {len(betas)} steps")
    a = alpha_bar.sqrt()
    return Schedule(a, 1 - a if pull_to_prior else torch.zeros_like(a), (1 - alpha_bar).sqrt())


def quadratic_betas(steps: int, first: float = 1e-4, last: float = 0.5) -> Float64[Tensor, " T"]:
    """The noise rates of CSDI and SSSD: evenly spaced in their square roots."""
    return torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2


def linear_betas(steps: int, first: float = 1e-4, last: float = 0.1) -> Float64[Tensor, " T"]:
    """Evenly spaced noise rates (Ho et al., 2020; TimeDiff, TMDM)."""
    return torch.linspace(first, last, steps, dtype=torch.float64)


def cosine_betas(steps: int) -> Float64[Tensor, " T"]:
    """ᾱ_t ∝ cos²((t/T + .008)/1.008·π/2), the rates capped at .999 (Nichol and Dhariwal, 2021)."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha_bar = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)
