"""The identities of the common framework, in float64, for every member."""

import itertools
import math

import pytest
import torch

from forecaster.diffusion.process import Process
from forecaster.diffusion.schedules import bridge, ddpm, quadratic_betas

LINEAR = torch.linspace(1e-4, 0.1, 100, dtype=torch.float64)
MEMBERS = {
    "csdi": ddpm(quadratic_betas(50)),
    "timediff": ddpm(LINEAR),
    "tmdm": ddpm(LINEAR, pull_to_prior=True),
    "s2dbm": bridge(50),
}
PAIRS = [(50, 49), (50, 1), (50, 0), (49, 48), (37, 12), (25, 0), (2, 1), (1, 0)]


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("s", [0.0, 0.3, 1.0, 2.0])
def test_a_reverse_step_with_an_oracle_maps_marginal_to_marginal(member: str, s: float) -> None:
    process = Process(MEMBERS[member])
    a, g, b = process.a, process.g, process.b
    for t, u in PAIRS:
        if b[t] == 0:
            continue
        kappa, lam, zeta, sigma = process.coefficients(t, u, s)
        assert float(a[t]) * kappa + lam == pytest.approx(float(a[u]), abs=1e-12)
        assert float(g[t]) * kappa + zeta == pytest.approx(float(g[u]), abs=1e-12)
        assert float(b[t]) ** 2 * kappa**2 + sigma**2 == pytest.approx(float(b[u]) ** 2, abs=1e-12)


def test_bridge_is_pinned_at_both_ends() -> None:
    process = Process(bridge(50))
    y_0, h = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    noise = torch.full_like(h, 1e9)
    assert torch.equal(process.mix(y_0, h, noise, torch.tensor([0, 0])), y_0)
    assert torch.equal(process.mix(y_0, h, noise, torch.tensor([50, 50])), h)
    assert torch.equal(process.start(h, noise), h)


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0])
def test_bridge_variance_is_the_published_one(s: float) -> None:
    process = Process(bridge(50))
    for t, u in itertools.combinations(range(50, -1, -1), 2):
        if t == 50:
            continue
        a_t, a_u = 1 - t / 50, 1 - u / 50
        published = s * (1 - a_u) * (a_u - a_t) / (1 - a_t)
        assert process.coefficients(t, u, s)[3] ** 2 == pytest.approx(published, abs=1e-12)


def test_step_out_of_the_pinned_end_carries_no_noise_on() -> None:
    process = Process(bridge(50))
    for u in (49, 25, 1, 0):
        a_u, g_u, b_u = (float(c[u]) for c in (process.a, process.g, process.b))
        assert process.coefficients(50, u, 2.0) == pytest.approx((0.0, a_u, g_u, b_u))
        assert process.coefficients(50, u, 0.0) == pytest.approx((0.0, a_u, g_u, 0.0))
        # s = 1 leaves half of the marginal's variance; `full_first` injects all of it, unless the walk is deterministic
        assert process.coefficients(50, u, 1.0)[3] == pytest.approx(b_u / math.sqrt(2))
        assert process.coefficients(50, u, 1.0, full_first=True)[3] == pytest.approx(b_u)
        assert process.coefficients(50, u, 0.0, full_first=True)[3] == 0.0


@pytest.mark.parametrize("betas", [quadratic_betas(50), LINEAR], ids=["quadratic", "linear"])
def test_ddpm_step_is_the_textbook_posterior(betas: torch.Tensor) -> None:
    """Ho et al. (2020), equations 6 and 7."""
    process = Process(ddpm(betas))
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - betas).cumprod(0)])
    for t in range(2, len(betas) + 1):
        now, before, beta = float(alpha_bar[t]), float(alpha_bar[t - 1]), float(betas[t - 1])
        kappa, lam, _, sigma = process.coefficients(t, t - 1, 2.0)
        assert kappa == pytest.approx(math.sqrt(1 - beta) * (1 - before) / (1 - now), abs=1e-10)
        assert lam == pytest.approx(math.sqrt(before) * beta / (1 - now), abs=1e-10)
        assert sigma**2 == pytest.approx((1 - before) / (1 - now) * beta, abs=1e-12)


def test_posterior_agrees_with_conditioning_the_joint_gaussian() -> None:
    """Bayes from the covariance of (y_u, y_t) given y_0 and h, for a jump of many steps."""
    process = Process(bridge(50))
    t, u = 40, 15
    a, b = process.a, process.b
    covariance = float(a[t] / a[u] * b[u] ** 2)  # y_t depends on y_u through a_t/a_u
    kappa, _, _, sigma = process.coefficients(t, u, 2.0)
    assert kappa == pytest.approx(covariance / float(b[t]) ** 2, abs=1e-12)
    assert sigma**2 == pytest.approx(float(b[u]) ** 2 - covariance**2 / float(b[t]) ** 2, abs=1e-12)


def test_coefficients_follow_the_module_and_stay_float64() -> None:
    process = Process(bridge(10))
    assert {name for name, _ in process.named_buffers()} == {"a", "g", "b"}
    assert all(buffer.dtype == torch.float64 for buffer in process.buffers())
    assert process.state_dict() == {}


@pytest.mark.parametrize(("t", "u"), [(5, 5), (3, 4), (11, 0), (1, -1)])
def test_steps_that_do_not_go_back_are_refused(t: int, u: int) -> None:
    with pytest.raises(ValueError, match="reverse step"):
        Process(bridge(10)).coefficients(t, u, 1.0)
