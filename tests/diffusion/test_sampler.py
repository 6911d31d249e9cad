"""The sampler with oracles in the network's place."""

from itertools import pairwise

import pytest
import torch
from scipy import stats

from forecaster.diffusion.denoiser import Denoiser
from forecaster.diffusion.process import Process
from forecaster.diffusion.sampler import sample, step_grid
from forecaster.diffusion.schedules import bridge, cosine_betas, ddpm, linear_betas, quadratic_betas


@pytest.mark.parametrize("total", [1, 7, 50])
def test_grids_fall_from_the_end_to_zero(total: int) -> None:
    for steps in range(1, total + 1):
        grid = step_grid(total, steps)
        assert grid[0] == total
        assert grid[-1] == 0
        assert len(grid) == steps + 1
        assert all(t > u for t, u in pairwise(grid))
    with pytest.raises(ValueError, match="number of steps"):
        step_grid(total, total + 1)


@pytest.mark.parametrize("schedule", [bridge(50), ddpm(quadratic_betas(50))], ids=["bridge", "ddpm"])
@pytest.mark.parametrize("steps", [1, 3, 50])
def test_an_oracle_leads_to_the_data_whatever_the_noise(schedule, steps: int) -> None:
    y_0, h = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    noise = lambda step: torch.randn_like(h)  # noqa: E731
    out = sample(Process(schedule), lambda y, t: y_0, h, noise, step_grid(50, steps), s=1.0)
    torch.testing.assert_close(out, y_0)


def test_deterministic_bridge_draws_no_random_number() -> None:
    h = torch.randn(2, 3, 4)

    def noise(step: int) -> torch.Tensor:
        raise AssertionError("a number was drawn")

    sample(Process(bridge(50)), lambda y, t: 0.5 * y, h, noise, step_grid(50, 10), s=0.0)


@pytest.mark.parametrize(("s", "steps"), [(2.0, 2000), (2.0, 50), (1.0, 10)])
def test_bayes_denoiser_reproduces_gaussian_data(s: float, steps: int) -> None:
    """With y_0 ~ N(1, 0.25²) and h = 0, E[y_0 | y_t] is known: the exact posterior's samples follow the data's law.

    The last step ends in E[y_0 | y_u] and averages what noise is left there away, so the law needs a small last step.
    """
    process, mean, std = Process(bridge(2000)), 1.0, 0.25

    def predict(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a, b = process.a[t][:, None, None], process.b[t][:, None, None]
        gain = a * std**2 / (a**2 * std**2 + b**2).clamp(min=1e-300)
        return mean + gain * (y - a * mean)

    torch.manual_seed(1)
    h = torch.zeros(20_000, 1, 1, dtype=torch.float64)
    grid = step_grid(2000, steps)
    out = sample(process, predict, h, lambda step: torch.randn_like(h), grid, s, full_first=True).flatten()
    assert float(out.mean()) == pytest.approx(mean, abs=0.01)
    if steps == 2000:
        assert float(out.std()) == pytest.approx(std, rel=0.03)
        assert stats.kstest((out - out.mean()) / out.std(), "norm").pvalue > 0.01
    else:
        # fewer or quieter steps give up spread; they never invent any
        assert float(out.std()) < std


@pytest.mark.parametrize("predicts", ["data", "correction", "noise"])
def test_what_the_network_predicts_is_turned_into_the_data(predicts: str) -> None:
    """A network that says exactly what it should makes ŷ_0 the data, at every step."""
    torch.manual_seed(0)
    process = Process(ddpm(quadratic_betas(50), pull_to_prior=True))
    y_0, h, noise = torch.randn(3, 2, 3, 4, dtype=torch.float64)
    said: list[torch.Tensor] = []

    class Oracle(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            assert x.shape == (2, 3, 6, 3)  # y_t stands at the end of longer features
            assert not x[:, :, :2, 0].any()
            return torch.nn.functional.pad(said[0], (2, 0))

    denoiser = Denoiser(Oracle(), predicts, process)
    said.append(denoiser.target(y_0, h, noise))
    given = torch.zeros(2, 3, 6, 2, dtype=torch.float64)
    for step in (1, 25, 50):
        t = torch.full((2,), step)
        torch.testing.assert_close(denoiser(process.mix(y_0, h, noise, t), h, given, t), y_0, rtol=1e-9, atol=1e-9)


def test_implied_noise_is_constant_along_a_deterministic_path() -> None:
    """With an oracle and s = 0, (y_t − a_t·y_0 − g_t·h)/b_t is the same ε at every step (DDIM's invariant)."""
    torch.manual_seed(0)
    for schedule in (ddpm(quadratic_betas(50)), ddpm(linear_betas(50), pull_to_prior=True), ddpm(cosine_betas(50))):
        process = Process(schedule)
        y_0, h, noise = torch.randn(3, 2, 3, 4, dtype=torch.float64)
        seen: list[torch.Tensor] = []

        def predict(y: torch.Tensor, t: torch.Tensor, process=process, y_0=y_0, h=h, seen=seen) -> torch.Tensor:
            a, g, b = (c[t][:, None, None] for c in (process.a, process.g, process.b))
            seen.append((y - a * y_0 - g * h) / b)
            return y_0

        sample(process, predict, h, lambda step, noise=noise: noise, step_grid(50, 10), s=0.0)
        assert len(seen) == 10
        for epsilon in seen[1:]:
            torch.testing.assert_close(epsilon, seen[0], rtol=1e-8, atol=1e-8)
        # the walk starts without the trace of the data, a_T·y_0, that the marginal still holds
        torch.testing.assert_close(seen[0], noise - process.a[-1] / process.b[-1] * y_0)


@pytest.mark.parametrize("betas", [quadratic_betas(50), linear_betas(50, 1e-4, 0.2), cosine_betas(50)])
def test_noise_rates_end_in_noise(betas: torch.Tensor) -> None:
    schedule = ddpm(betas)
    assert ((betas > 0) & (betas < 1)).all()
    assert (schedule.a.diff() < 0).all()
    assert float(schedule.a[0]) == 1.0
    assert float(schedule.a[-1]) < 0.08
