"""The sampler with oracles in the network's place."""

from itertools import pairwise

import pytest
import torch
from scipy import stats

from forecaster.diffusion.denoiser import Denoiser
from forecaster.diffusion.process import Process
from forecaster.diffusion.sampler import sample, step_grid
from forecaster.diffusion.schedules import (
    BridgeConfig,
    DDPMConfig,
    Schedule,
    bridge,
    cosine_rates,
    ddpm,
    linear_rates,
    quadratic_rates,
)
from forecaster.errors import UserError


@pytest.mark.parametrize("total", [1, 7, 50])
def test_grids_fall_from_the_end_to_zero(total: int) -> None:
    for steps in range(1, total + 1):
        grid = step_grid(total, steps)
        assert grid[0] == total
        assert grid[-1] == 0
        assert len(grid) == steps + 1
        assert all(t > u for t, u in pairwise(grid))
    for steps in (0, total + 1):
        with pytest.raises(ValueError, match=f"number of steps lies between 1 and {total}, not"):
            step_grid(total, steps)


@pytest.mark.parametrize("total", [7, 50, 100])
def test_grids_are_as_even_as_whole_numbers_allow(total: int) -> None:
    for steps in range(1, total + 1):
        for i, t in enumerate(step_grid(total, steps)):
            assert abs(t - total * (steps - i) / steps) <= 0.5


def test_a_grid_may_be_any_that_falls_from_the_end() -> None:
    assert step_grid(50, [50, 20, 19, 1]) == [50, 20, 19, 1, 0]
    assert step_grid(50, [50]) == step_grid(50, 1)
    for wrong in ([49, 20], [50, 20, 20], [50, 0], []):
        with pytest.raises(ValueError, match="the steps fall from 50"):
            step_grid(50, wrong or [0])
    h, process = torch.zeros(1, 1, 1), Process(bridge(BridgeConfig(steps=50)))
    for grid in ([25, 0], [50, 25]):
        message = f"the walk goes from 50 to 0, not from {grid[0]} to {grid[-1]}"
        with pytest.raises(ValueError, match=message):
            sample(process, lambda y, t: y, h, lambda step: h, grid, s=1.0)


@pytest.mark.parametrize(
    "schedule", [bridge(BridgeConfig(steps=50)), ddpm(DDPMConfig())], ids=["bridge", "ddpm"]
)
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

    sample(
        Process(bridge(BridgeConfig(steps=50))),
        lambda y, t: 0.5 * y,
        h,
        noise,
        step_grid(50, 10),
        s=0.0,
    )


PATHS = {
    "bridge": bridge(BridgeConfig(steps=2000)),
    "ddpm": ddpm(DDPMConfig(steps=2000, betas="linear", last=0.01)),
    "pulled": ddpm(DDPMConfig(steps=2000, betas="linear", last=0.01, pull_to_prior=True)),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("s", "steps"), [(2.0, 2000), (2.0, 50), (1.0, 10), (0.0, 10), (2.0, [2000, 1990, 600, 7])]
)
def test_bayes_denoiser_reproduces_gaussian_data(
    path: str, s: float, steps: int | list[int]
) -> None:
    """With y_0 ~ N(1, 0.25²), E[y_0 | y_t] is known, and with it the law of every step of the walk,
    which is Gaussian.

    In many steps of the exact posterior it ends in the law of the data. The last step ends in E[y_0
    | y_u] and averages what noise is left there away, so few steps give up spread; they never
    invent any.
    """
    process, mean, std, prior = Process(PATHS[path]), 1.0, 0.25, -0.5
    a, g, b = (c.tolist() for c in (process.a, process.g, process.b))

    def gain(t: int) -> float:
        return a[t] * std**2 / max(a[t] ** 2 * std**2 + b[t] ** 2, 1e-300)

    def predict(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        now = int(t[0])
        return mean + gain(now) * (y - a[now] * mean - g[now] * prior)

    torch.manual_seed(1)
    h = torch.full((20_000, 1, 1), prior, dtype=torch.float64)
    grid = step_grid(2000, steps)
    out = sample(
        process, predict, h, lambda step: torch.randn_like(h), grid, s, full_first=True
    ).flatten()
    centre, variance = g[-1] * prior, b[-1] ** 2
    for t, u in pairwise(grid):
        kappa, lam, zeta, sigma = process.coefficients(t, u, s, full_first=True)
        centre = (
            kappa * centre
            + lam * (mean + gain(t) * (centre - a[t] * mean - g[t] * prior))
            + zeta * prior
        )
        variance = (kappa + lam * gain(t)) ** 2 * variance + sigma**2
    assert float(out.mean()) == pytest.approx(centre, abs=0.01)
    assert float(out.std()) == pytest.approx(variance**0.5, rel=0.02, abs=1e-9)
    if steps == 2000:
        assert float(out.mean()) == pytest.approx(mean, abs=0.01)
        assert float(out.std()) == pytest.approx(std, rel=0.03)
        assert stats.kstest((out - out.mean()) / out.std(), "norm").pvalue > 0.01
    else:
        assert float(out.std()) < std


@pytest.mark.parametrize(
    ("path", "s", "numbers"),
    [
        ("ddpm", 2.0, [0, 1, 2, 3, 4]),
        ("ddpm", 0.0, [0]),  # the start alone
        ("bridge", 1.0, [1, 2, 3, 4]),  # the bridge starts at h
    ],
)
def test_each_step_adds_a_draw_of_its_own(path: str, s: float, numbers: list[int]) -> None:
    """Where the network says 0, step i adds σ·z_i to κ times what there was; the last ends in 0.

    z_i is the number i everywhere, so that the weight of each draw is read off the walk.
    """
    process, grid = (
        Process(
            {
                "ddpm": ddpm(DDPMConfig(betas="linear", last=0.1)),
                "bridge": bridge(BridgeConfig(steps=50)),
            }[path]
        ),
        [*(50, 30, 20, 11, 3, 0)],
    )
    h, asked, met = torch.zeros(1, 1, 1, dtype=torch.float64), [], []

    def noise(step: int) -> torch.Tensor:
        asked.append(step)
        return torch.full_like(h, 1.0 + step)

    def predict(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        met.append((int(t), float(y)))
        return torch.zeros_like(y)

    assert float(sample(process, predict, h, noise, grid, s)) == 0.0
    assert asked == numbers
    y = float(process.b[-1]) if 0 in numbers else 0.0
    for i, (t, u) in enumerate(pairwise(grid), start=1):
        assert met[i - 1] == (t, pytest.approx(y))
        kappa, _, _, sigma = process.coefficients(t, u, s)
        y = kappa * y + sigma * (1.0 + i)


def test_a_path_that_ends_without_noise_starts_at_its_share_of_the_prior() -> None:
    ends = [torch.tensor(c, dtype=torch.float64) for c in ([1.0, 0.5], [0.0, 0.25], [0.0, 0.0])]
    h, met = torch.randn(2, 3, 4), []
    predict = lambda y, t: met.append(y) or y  # noqa: E731
    sample(Process(Schedule(*ends)), predict, h, lambda step: h, [1, 0], s=0.0)
    torch.testing.assert_close(met[0], h / 4)


def test_the_prior_has_its_weight_at_every_step() -> None:
    """With the data known and no noise at the start, the walk stands on a·y_0 + g·h all along."""
    process, grid = Process(bridge(BridgeConfig(steps=50))), [50, 31, 12, 1, 0]
    y_0, h = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    met = []

    def predict(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        met.append(y)
        return y_0

    sample(process, predict, h, lambda step: torch.zeros_like(h), grid, s=0.0)
    for t, y in zip(grid, met, strict=False):
        torch.testing.assert_close(y, (1 - t / 50) * y_0 + t / 50 * h)


@pytest.mark.parametrize("predicts", ["data", "correction", "noise", "innovation"])
def test_what_the_network_predicts_is_turned_into_the_data(predicts: str) -> None:
    """A network that says exactly what it should makes ŷ_0 the data, at every step."""
    torch.manual_seed(0)
    process = Process(ddpm(DDPMConfig(pull_to_prior=True)))
    y_0, h, noise = torch.randn(3, 2, 3, 4, dtype=torch.float64)
    said: list[torch.Tensor] = []

    class Oracle(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            assert x.shape == (2, 3, 6, 3)  # y_t stands at the end of longer features
            assert not x[:, :, :2, 0].any()
            return torch.nn.functional.pad(said[0], (2, 0))

    denoiser = Denoiser(Oracle(), predicts, process)
    given = torch.zeros(2, 3, 6, 2, dtype=torch.float64)
    for step in (1, 25, 50):
        t = torch.full((2,), step)
        said[:] = [denoiser.target(y_0, h, noise, t)]
        torch.testing.assert_close(
            denoiser(process.mix(y_0, h, noise, t), h, given, t), y_0, rtol=1e-9, atol=1e-9
        )


WHITE = {
    "bridge": bridge(BridgeConfig(steps=50)),
    "bridge in 3": bridge(BridgeConfig(steps=3)),
    "ddpm": ddpm(DDPMConfig()),
    "pulled": ddpm(DDPMConfig(pull_to_prior=True)),
}


class Nothing(torch.nn.Module):
    """A network that says 0, and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        self.seen.append(x[..., 0])
        return torch.zeros_like(x[..., 0])


@pytest.mark.parametrize("path", WHITE)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_an_innovation_of_0_walks_to_white_noise_exactly(path: str, steps: int) -> None:
    """y is linear in the draws: a basis in place of the draws gives its coefficients."""
    process = Process(WHITE[path])
    denoiser, count = Denoiser(Nothing(), "innovation", process), 4
    # what is missing is what y_T ~ N(g_T·h, b_T²) lacks of a_T·y_0
    lacking = float(process.a[-1]) ** 2
    prior = 0.7 if lacking == 0 else 0.0
    given = torch.zeros(1, 1, count, 0, dtype=torch.float64)
    zero = torch.zeros(1, 1, count, dtype=torch.float64)
    h = zero + prior

    def basis(step: int) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor([[step]]), count).double()

    def walk(noise, s: float) -> torch.Tensor:
        return sample(
            process,
            lambda y, t: denoiser(y, h, given, t),
            h,
            noise,
            step_grid(process.steps, steps),
            s,
            deviation=denoiser.deviation,
        )

    coefficients = walk(basis, 2.0) - prior
    assert float((coefficients**2).sum()) == pytest.approx(1, abs=max(lacking, 1e-10))
    if lacking == 0:
        assert coefficients[0, 0, 0] == 0  # the bridge starts at h
        torch.testing.assert_close(walk(lambda step: zero, 0.0), h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("path", WHITE)
def test_an_innovation_of_0_is_the_posterior_mean_of_white_noise(path: str) -> None:
    """E[y_0 | y_t] and the deviation around it, by conditioning the joint Gaussian."""
    process, network = Process(WHITE[path]), Nothing()
    denoiser = Denoiser(network, "innovation", process)
    h = torch.full((1, 1, 1), 0.7, dtype=torch.float64)
    for t in range(1, process.steps):
        a, g, b = (float(c[t]) for c in (process.a, process.g, process.b))
        y_t = torch.full_like(h, 1.9)
        gain = a / (a**2 + b**2)
        mean = denoiser(y_t, h, h.new_zeros(1, 1, 1, 0), torch.tensor([t]))
        assert float(mean) == pytest.approx(0.7 + gain * (1.9 - (a + g) * 0.7), rel=1e-12)
        assert denoiser.deviation(t) ** 2 == pytest.approx(1 - gain * a, rel=1e-9)
        shown = (1.9 - (a + g) * 0.7) / (a**2 + b**2) ** 0.5
        assert float(network.seen[-1]) == pytest.approx(shown, rel=1e-12)
        # the target at y_t has variance 1: it is linear in two independent standard normals
        unit, zero = torch.ones_like(h), torch.zeros_like(h)
        of_data, of_noise = (
            float(denoiser.target(y_0, zero, noise, torch.tensor([t])))
            for y_0, noise in ((unit, zero), (zero, unit))
        )
        assert of_data**2 + of_noise**2 == pytest.approx(1, rel=1e-12)


def test_at_a_pinned_end_nothing_is_known_of_an_innovation() -> None:
    process = Process(bridge(BridgeConfig(steps=5)))
    denoiser = Denoiser(Nothing(), "innovation", process)
    assert denoiser.deviation(5) == 1.0
    y_0 = torch.randn(1, 2, 3, dtype=torch.float64)
    target = denoiser.target(y_0, torch.ones_like(y_0), torch.randn_like(y_0), torch.tensor([5]))
    torch.testing.assert_close(target, y_0 - 1)
    for predicts in ("data", "correction"):
        assert Denoiser(Nothing(), predicts, process).deviation(3) == 0.0


def test_with_the_empirical_denoiser_samples_are_the_paths_of_a_bank() -> None:
    """E[w_0 | w_t] = Σ p_i·w_i, p_i ∝ exp(−|w_t − a·w_i|²/2b²): the walk ends at one of them."""
    process = Process(bridge(BridgeConfig(steps=400)))
    torch.manual_seed(0)
    bank = torch.randn(5, 2, 3, dtype=torch.float64)

    def predict(w_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a, b = float(process.a[int(t[0])]), float(process.b[int(t[0])])
        if b == 0:
            return bank.mean(0).expand_as(w_t)
        distance = ((w_t[:, None] - a * bank) ** 2).sum((2, 3))
        return torch.einsum("ni,ikm->nkm", torch.softmax(-distance / (2 * b**2), 1), bank)

    h = torch.zeros(600, 2, 3, dtype=torch.float64)
    out = sample(process, predict, h, lambda i: torch.randn_like(h), step_grid(400, 400), 2.0)
    distance, nearest = (out[:, None] - bank).flatten(2).norm(dim=2).min(1)
    assert float(distance.max()) < 1e-3
    counts = torch.bincount(nearest, minlength=5)
    assert stats.chisquare(counts.numpy()).pvalue > 0.01


def test_noise_cannot_be_predicted_where_nothing_of_the_data_is_left() -> None:
    with pytest.raises(UserError, match="noise cannot be turned into data"):
        Denoiser(torch.nn.Identity(), "noise", Process(bridge(BridgeConfig(steps=4))))
    Denoiser(torch.nn.Identity(), "noise", Process(ddpm(DDPMConfig(steps=4))))
    Denoiser(torch.nn.Identity(), "correction", Process(bridge(BridgeConfig(steps=4))))


@pytest.mark.parametrize(
    ("config", "rates"),
    [
        (DDPMConfig(), quadratic_rates(50, 1e-4, 0.5)),
        (DDPMConfig(betas="linear", last=0.2), linear_rates(50, 1e-4, 0.2)),
        (DDPMConfig(betas="cosine"), cosine_rates(50)),
    ],
    ids=["quadratic", "linear", "cosine"],
)
def test_noise_rates_end_in_noise(config: DDPMConfig, rates: torch.Tensor) -> None:
    schedule = ddpm(config)
    assert ((rates > 0) & (rates < 1)).all()
    torch.testing.assert_close(1 - (schedule.a[1:] / schedule.a[:-1]) ** 2, rates)
    assert (schedule.a.diff() < 0).all()
    assert float(schedule.a[0]) == 1.0
    assert float(schedule.a[-1]) < 0.08
