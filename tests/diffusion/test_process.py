"""The identities of the common framework, in float64, for every member."""

import itertools
import math

import pytest
import torch

from forecaster.config.load import load_config
from forecaster.config.parts import build
from forecaster.config.paths import CONFIGS
from forecaster.diffusion.process import Process
from forecaster.diffusion.schedules import (
    BridgeConfig,
    DDPMConfig,
    bridge,
    ddpm,
    linear_rates,
    of_rates,
    quadratic_rates,
)
from forecaster.models.diffusion.config import DiffusionConfig

LOADED = {path.stem: load_config(path).model for path in sorted(CONFIGS.glob("*.yaml"))}
MEMBERS = {
    name: build(model.schedule)
    for name, model in LOADED.items()
    if isinstance(model, DiffusionConfig)
}


def published(name: str) -> tuple[list[float], list[float], list[float]]:
    """a, g, b of a member as its paper has them, number by number."""
    if name.startswith(("s2dbm", "residual")):  # arXiv 2411.04491, the Brownian bridge with T = 50
        share = [t / 50 for t in range(51)]
        return [1 - x for x in share], share, [math.sqrt(2 * (x - x**2)) for x in share]
    if name in {"csdi", "sssd", "cddpm"}:  # quadratic from 1e-4 to .5 in 50 steps
        betas = [(1e-2 + i / 49 * (math.sqrt(0.5) - 1e-2)) ** 2 for i in range(50)]
    elif name == "tmdm":  # linear in 100 steps
        betas = [1e-4 + i / 99 * (0.1 - 1e-4) for i in range(100)]
    else:  # Nichol and Dhariwal's cosine, TimeDiff
        f = [math.cos((t / 100 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(101)]
        betas = [min(1 - f[t] / f[t - 1], 0.999) for t in range(1, 101)]
    alpha_bar = [math.prod(1 - beta for beta in betas[:t]) for t in range(len(betas) + 1)]
    a = [math.sqrt(x) for x in alpha_bar]
    return a, [1 - x if name == "tmdm" else 0.0 for x in a], [math.sqrt(1 - x) for x in alpha_bar]


def pairs(process: Process) -> list[tuple[int, int]]:
    """All steps t → u."""
    return [(t, u) for t in range(1, process.steps + 1) for u in range(t)]


def test_all_members_are_here() -> None:
    assert set(MEMBERS) >= {"csdi", "sssd", "timediff", "tmdm", "s2dbm", "s2dbm_paper", "cddpm"}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_s_schedule_is_the_published_one(member: str) -> None:
    schedule = MEMBERS[member]
    for found, expected in zip(
        (schedule.a, schedule.g, schedule.b), published(member), strict=True
    ):
        torch.testing.assert_close(
            found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("member", MEMBERS)
def test_a_reverse_step_with_an_oracle_maps_marginal_to_marginal(member: str) -> None:
    process, worst = Process(MEMBERS[member]), 0.0
    a, g, b = (c.tolist() for c in (process.a, process.g, process.b))
    for s in (0.0, 0.3, 1.0, 2.0):
        for t, u in pairs(process):
            if b[t] == 0:
                continue
            kappa, lam, zeta, sigma = process.coefficients(t, u, s)
            off = (
                a[t] * kappa + lam - a[u],
                g[t] * kappa + zeta - g[u],
                b[t] ** 2 * kappa**2 + sigma**2 - b[u] ** 2,
            )
            worst = max(worst, *map(abs, off))
    assert worst < 1e-12


@pytest.mark.parametrize("member", MEMBERS)
def test_implied_noise_is_constant_along_every_deterministic_step(member: str) -> None:
    """With an oracle and s = 0, (y_t − a_t·y_0 − g_t·h)/b_t is the same ε after any step that ends
    in noise.
    """
    process, worst = Process(MEMBERS[member]), 0.0
    a, g, b = (c.tolist() for c in (process.a, process.g, process.b))
    y_0, h, epsilon = 0.7, -1.3, 2.1
    for t, u in pairs(process):
        if b[t] == 0 or b[u] == 0:
            continue
        kappa, lam, zeta, _ = process.coefficients(t, u, 0.0)
        y_u = kappa * (a[t] * y_0 + g[t] * h + b[t] * epsilon) + lam * y_0 + zeta * h
        worst = max(worst, abs((y_u - a[u] * y_0 - g[u] * h) / b[u] - epsilon))
    assert worst < 1e-12


def test_bridge_is_pinned_at_both_ends() -> None:
    process = Process(bridge(BridgeConfig(steps=50)))
    y_0, h = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    noise = torch.full_like(h, 1e9)
    assert torch.equal(process.mix(y_0, h, noise, torch.tensor([0, 0])), y_0)
    assert torch.equal(process.mix(y_0, h, noise, torch.tensor([50, 50])), h)
    assert torch.equal(process.start(h, noise), h)


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0])
def test_bridge_variance_is_the_published_one(s: float) -> None:
    process = Process(bridge(BridgeConfig(steps=50)))
    for t, u in itertools.combinations(range(50, -1, -1), 2):
        if t == 50:
            continue
        a_t, a_u = 1 - t / 50, 1 - u / 50
        published = s * (1 - a_u) * (a_u - a_t) / (1 - a_t)
        assert process.coefficients(t, u, s)[3] ** 2 == pytest.approx(published, abs=1e-12)


def test_step_out_of_the_pinned_end_carries_no_noise_on() -> None:
    process = Process(bridge(BridgeConfig(steps=50)))
    for u in (49, 25, 1, 0):
        a_u, g_u, b_u = (float(c[u]) for c in (process.a, process.g, process.b))
        assert process.coefficients(50, u, 2.0) == pytest.approx((0.0, a_u, g_u, b_u))
        assert process.coefficients(50, u, 0.0) == pytest.approx((0.0, a_u, g_u, 0.0))
        # s = 1 leaves half of the marginal's variance; `full_first` injects all of it, unless the
        # walk is deterministic
        assert process.coefficients(50, u, 1.0)[3] == pytest.approx(b_u / math.sqrt(2))
        assert process.coefficients(50, u, 1.0, full_first=True)[3] == pytest.approx(b_u)
        assert process.coefficients(50, u, 0.0, full_first=True)[3] == 0.0


@pytest.mark.parametrize(
    ("config", "rates"),
    [
        (DDPMConfig(steps=50), quadratic_rates(50, 1e-4, 0.5)),
        (DDPMConfig(steps=100, betas="linear", last=0.1), linear_rates(100, 1e-4, 0.1)),
    ],
    ids=["quadratic", "linear"],
)
def test_ddpm_step_is_the_textbook_posterior(config: DDPMConfig, rates: torch.Tensor) -> None:
    """Ho et al. (2020), equations 6 and 7."""
    process = Process(ddpm(config))
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - rates).cumprod(0)])
    for t in range(2, len(rates) + 1):
        now, before, beta = float(alpha_bar[t]), float(alpha_bar[t - 1]), float(rates[t - 1])
        kappa, lam, _, sigma = process.coefficients(t, t - 1, 2.0)
        assert kappa == pytest.approx(math.sqrt(1 - beta) * (1 - before) / (1 - now), abs=1e-10)
        assert lam == pytest.approx(math.sqrt(before) * beta / (1 - now), abs=1e-10)
        assert sigma**2 == pytest.approx((1 - before) / (1 - now) * beta, abs=1e-12)


@pytest.mark.parametrize("member", MEMBERS)
def test_posterior_agrees_with_conditioning_the_joint_gaussian(member: str) -> None:
    """Bayes from the covariance of (y_u, y_t) given y_0 and h, for every jump."""
    process, worst = Process(MEMBERS[member]), 0.0
    a, b = process.a.tolist(), process.b.tolist()
    for t, u in pairs(process):
        if b[t] == 0:
            continue
        covariance = a[t] / a[u] * b[u] ** 2  # y_t depends on y_u through a_t/a_u
        kappa, _, _, sigma = process.coefficients(t, u, 2.0)
        off = (kappa - covariance / b[t] ** 2, sigma**2 - (b[u] ** 2 - covariance**2 / b[t] ** 2))
        worst = max(worst, *map(abs, off))
    assert worst < 1e-12


@pytest.mark.parametrize(
    ("rates", "after"),
    [
        (torch.tensor([0.1, 1.0]), "2 of 2"),  # none
        (torch.tensor([0.1, 1.0, 0.5]), "2 of 3"),
        (
            torch.tensor([1 - 1e-15] * 20 + [1 - 1e-10, 0.5], dtype=torch.float64),
            "21 of 22",
        ),  # 1e-310, no ratio of it
    ],
)
def test_a_schedule_that_leaves_nothing_of_the_data_is_refused(
    rates: torch.Tensor, after: str
) -> None:
    with pytest.raises(ValueError, match=f"nothing is left of the data after {after} steps"):
        of_rates(rates.double())


def test_rates_are_the_papers_and_pull_to_nothing_by_default() -> None:
    """CSDI's from 1e-4 to .5; TMDM's from 1e-4 to .1."""
    linear = DDPMConfig(steps=100, betas="linear", last=0.1)
    for config, last in ((DDPMConfig(), 0.5), (linear, 0.1)):
        schedule = ddpm(config)
        rates = 1 - (schedule.a[1:] / schedule.a[:-1]) ** 2
        assert (float(rates[0]), float(rates[-1])) == pytest.approx((1e-4, last))
        assert not schedule.g.any()


def test_coefficients_follow_the_module_and_stay_float64() -> None:
    process = Process(bridge(BridgeConfig(steps=10)))
    assert {name for name, _ in process.named_buffers()} == {"a", "g", "b"}
    assert all(buffer.dtype == torch.float64 for buffer in process.buffers())
    assert process.state_dict() == {}


@pytest.mark.parametrize(("t", "u"), [(5, 5), (3, 4), (11, 0), (1, -1)])
def test_steps_that_do_not_go_back_are_refused(t: int, u: int) -> None:
    with pytest.raises(ValueError, match="reverse step"):
        Process(bridge(BridgeConfig(steps=10))).coefficients(t, u, 1.0)


def test_rounding_makes_no_step_complex() -> None:
    """Where next to no noise is left at u, σ² = b_u² may come out larger than b_u² itself."""
    process = Process(of_rates(torch.tensor([5e-16, 0.9001], dtype=torch.float64)))
    kappa, lam, _, sigma = process.coefficients(2, 1, 2.0)
    assert (kappa, lam) == (0.0, float(process.a[1]))
    assert sigma == pytest.approx(float(process.b[1]))
