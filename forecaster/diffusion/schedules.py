"""Noise schedules: three coefficient vectors over t = 0…T.

symbol  code       in   y_t = a_t·y_0 + g_t·h + b_t·ε              (arXiv 2411.04491, theorem 1)
α̂_t     a          weight of the data
γ_t     g          weight of the prior forecast h
b_t     b          standard deviation of the noise (β_t in that paper)
β_t     rates      DDPM's noise rate of one step, a share of variance
ᾱ_t     alpha_bar  the product of (1 − β_s) over s ≤ t
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float64
from pydantic import Field
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig, Size


@dataclass(frozen=True)
class Schedule:
    """Coefficients ``a``, ``g``, ``b``, each (T+1,), float64."""

    a: Float64[Tensor, " T1"]
    g: Float64[Tensor, " T1"]
    b: Float64[Tensor, " T1"]


class BridgeConfig(PartConfig):
    """S²DBM's Brownian bridge from the prior forecast to the data, in ``steps`` = T steps."""

    name: Literal["bridge"] = "bridge"
    steps: Size = 50


@register("schedule", BridgeConfig)
def bridge(config: BridgeConfig) -> Schedule:
    """a_t = 1 − t/T, g_t = t/T, b_t = √(2·a_t·(1−a_t)): both ends are pinned."""
    t = torch.arange(config.steps + 1, dtype=torch.float64) / config.steps
    return Schedule(1 - t, t, (2 * (1 - t) * t).sqrt())


class DDPMConfig(PartConfig):
    """DDPM's diffusion; with ``pull_to_prior`` it ends at the prior forecast (TMDM), not at 0.

    ``betas``: the rule of the noise rates; ``first`` and ``last`` are those at both ends of the
    ``linear`` and ``quadratic`` rules, ``cosine`` has its own.
    """

    name: Literal["ddpm"] = "ddpm"
    steps: Size = 50
    betas: Literal["quadratic", "linear", "cosine"] = "quadratic"
    first: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    last: Annotated[float, Field(gt=0, lt=1)] = 0.5
    pull_to_prior: bool = False


@register("schedule", DDPMConfig)
def ddpm(config: DDPMConfig) -> Schedule:
    """The schedule of the configured noise rates."""
    return of_rates(_noise_rates(config), config.pull_to_prior)


def of_rates(rates: Float64[Tensor, " T"], pull_to_prior: bool = False) -> Schedule:
    """a_t = √ᾱ_t, b_t = √(1−ᾱ_t); with ``pull_to_prior`` g_t = 1 − √ᾱ_t, else 0.

    Raises ValueError if nothing is left of the data, ᾱ_T = 0.
    """
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - rates).cumprod(0)])
    left = int((alpha_bar >= torch.finfo(torch.float64).tiny).sum())
    if left < len(alpha_bar):
        raise ValueError(f"nothing is left of the data after {left} of {len(rates)} steps")
    a, b = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return Schedule(a, 1 - a if pull_to_prior else torch.zeros_like(a), b)


def _noise_rates(config: DDPMConfig) -> Float64[Tensor, " T"]:
    if config.betas == "cosine":
        return cosine_rates(config.steps)
    rule = linear_rates if config.betas == "linear" else quadratic_rates
    return rule(config.steps, config.first, config.last)


def quadratic_rates(steps: int, first: float, last: float) -> Float64[Tensor, " T"]:
    """The noise rates of CSDI and SSSD: evenly spaced in their square roots."""
    return torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64) ** 2


def linear_rates(steps: int, first: float, last: float) -> Float64[Tensor, " T"]:
    """Evenly spaced noise rates (Ho et al., 2020; TimeDiff, TMDM)."""
    return torch.linspace(first, last, steps, dtype=torch.float64)


def cosine_rates(steps: int) -> Float64[Tensor, " T"]:
    """ᾱ_t ∝ cos²((t/T + .008)/1.008·π/2), the rates capped at .999 (Nichol and Dhariwal, 2021)."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha_bar = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=0.999)
