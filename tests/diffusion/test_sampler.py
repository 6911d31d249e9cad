"""The sampler with oracles in the network's place."""

from itertools import pairwise

import pytest
import torch
from scipy import stats

from forecaster.diffusion.process import Process
from forecaster.diffusion.sampler import sample, step_grid
from forecaster.diffusion.schedules import bridge, ddpm, quadratic_betas


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
