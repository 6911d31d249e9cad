"""The deterministic path from noise to data, with Gaussian data, of which all is known."""

import math

import pytest
import torch
from torch import Tensor

from forecaster.diffusion.consistency import Arc, sample_ends
from forecaster.diffusion.denoiser import Denoiser
from forecaster.diffusion.process import Process
from forecaster.diffusion.sampler import step_grid
from forecaster.diffusion.schedules import BridgeConfig, DDPMConfig, bridge, ddpm

MEAN, DEVIATION = 0.7, 0.4


def arc_of(steps: int = 50) -> Arc:
    return Arc(Process(bridge(BridgeConfig(steps=steps))))


def size(angle: Tensor) -> Tensor:
    """The deviation of x at an angle."""
    return torch.hypot(DEVIATION * angle.cos(), angle.sin())


def end(arc: Arc):
    """The consistency function of y_0 ~ N(μ, d²)."""

    def at(x: Tensor, t: Tensor) -> Tensor:
        angle = arc.angle(t, x)
        return MEAN + DEVIATION * (x - MEAN * angle.cos()) / size(angle)

    return at


def expected(arc: Arc, x: Tensor, t: Tensor) -> Tensor:
    """E[n_t | x_t] of the same data: n_t = (y_0 − cos θ·x_t)/sin θ."""
    angle = arc.angle(t, x)
    gain = angle.cos() * DEVIATION**2 / size(angle) ** 2
    data = MEAN + gain * (x - MEAN * angle.cos())
    return (data - angle.cos() * x) / angle.sin()


@pytest.mark.parametrize("schedule", [bridge(BridgeConfig(steps=9)), ddpm(DDPMConfig())])
def test_the_arc_is_the_process_but_for_its_size(schedule) -> None:
    process = Process(schedule)
    arc, (y_0, noise) = Arc(process), torch.randn(2, 1, 2, 3, dtype=torch.float64)
    assert float(arc.angles[0]) == 0
    assert bool((arc.angles.diff() > 0).all())
    for step in range(process.steps):
        t = torch.tensor([step])
        x = arc.mix(y_0, noise, t)
        y_t = process.mix(y_0, torch.zeros_like(y_0), noise, t)
        torch.testing.assert_close(arc.size(t, x) * x, y_t)
        # y_0 is what an innovation leads to
        angle = arc.angle(t, x)
        led = angle.cos() * x + angle.sin() * arc.innovation(y_0, noise, t)
        torch.testing.assert_close(led, y_0)


def test_a_bridge_leaves_its_pinned_end_in_the_direction_of_its_noise() -> None:
    arc, (y_0, noise) = arc_of(), torch.randn(2, 1, 2, 3, dtype=torch.float64)
    last = torch.tensor([50])
    assert float(arc.angles[-1]) == pytest.approx(math.pi / 2)
    torch.testing.assert_close(arc.mix(y_0, noise, last), noise)
    torch.testing.assert_close(arc.innovation(y_0, noise, last), y_0)
    assert float(arc.size(last, y_0)) == 0


def test_the_innovation_is_the_direction_of_the_path() -> None:
    arc, (y_0, noise) = arc_of(4000), torch.randn(2, 1, 2, 3, dtype=torch.float64)
    for step in (10, 2000, 3990):
        t = torch.tensor([step])
        x, n = arc.mix(y_0, noise, t), arc.innovation(y_0, noise, t)
        torch.testing.assert_close(
            arc.step(x, n, t, t - 1), arc.mix(y_0, noise, t - 1), rtol=0, atol=1e-3
        )


def test_where_the_data_are_shifted_white_noise_a_step_of_any_length_is_exact() -> None:
    """x_t = μ·cos θ_t + z, of the same z all along the path; n_t has the mean μ·sin θ_t."""
    arc, z = arc_of(), torch.randn(5, 2, 3, dtype=torch.float64)
    t, u = torch.tensor([50, 50, 49, 20, 1]), torch.tensor([49, 0, 13, 19, 0])
    here, there = arc.angle(t, z), arc.angle(u, z)
    found = arc.step(MEAN * here.cos() + z, MEAN * here.sin().expand_as(z), t, u)
    torch.testing.assert_close(found, MEAN * there.cos() + z)


def test_steps_are_found_by_their_length() -> None:
    arc, like = arc_of(), torch.zeros(1, dtype=torch.float64)
    for t in (1, 2, 30, 50):
        start = torch.full((t,), t)
        u = torch.arange(t)
        lengths = arc.length(start, u, like)[:, 0, 0]
        assert bool((lengths > 0).all())
        assert torch.equal(arc.below(start, lengths - 1e-9), u)
        # a little longer: the step below, of which there is one at the least
        assert torch.equal(arc.below(start, lengths + 1e-9), (u - 1).clamp(min=0))
        shortest = arc.below(start, torch.full_like(lengths, -1.0))
        assert torch.equal(shortest, torch.full_like(u, t - 1))


def test_walked_in_many_steps_noise_becomes_the_data_and_ends_where_one_call_says() -> None:
    """Every step's law is that of the process: x = μ·cos θ + √(d²·cos²θ + sin²θ)·z."""
    arc = arc_of(2000)
    z = torch.randn(1, 2, 3, dtype=torch.float64)
    x, says = z, end(arc)
    at_once = says(z, torch.tensor([2000]))
    torch.testing.assert_close(at_once, MEAN + DEVIATION * z)
    for step in range(2000, 0, -1):
        t = torch.tensor([step])
        x = arc.step(x, expected(arc, x, t), t, t - 1)
        if step in (1500, 100, 2):
            angle = arc.angle(t - 1, x)
            torch.testing.assert_close(x, MEAN * angle.cos() + size(angle) * z, rtol=0, atol=8e-3)
            torch.testing.assert_close(says(x, t - 1), at_once, rtol=0, atol=8e-3)
    torch.testing.assert_close(x, at_once, rtol=0, atol=8e-3)
    assert torch.equal(says(x, torch.tensor([0])), MEAN + DEVIATION * (x - MEAN) / DEVIATION)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_ends_have_the_law_of_the_data_in_any_number_of_calls(steps: int) -> None:
    """They are affine in the draws: a basis in place of these gives the coefficients."""
    arc, calls = arc_of(), list[int]()
    zero = torch.zeros(1, 1, steps, dtype=torch.float64)

    def counted(x: Tensor, t: Tensor) -> Tensor:
        calls.append(int(t))
        return end(arc)(x, t)

    def basis(step: int) -> Tensor:
        return torch.nn.functional.one_hot(torch.tensor([[step]]), steps).double()

    grid = step_grid(50, steps)
    mean = sample_ends(arc, counted, lambda step: zero, grid)
    torch.testing.assert_close(mean, zero + MEAN)
    assert calls == grid[:-1]
    coefficients = sample_ends(arc, counted, basis, grid) - mean
    assert float((coefficients**2).sum()) == pytest.approx(DEVIATION**2, rel=1e-9)


class Network(torch.nn.Module):
    """Says the same number everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, features: Tensor, t: Tensor) -> Tensor:
        return torch.full_like(features[..., 0], self.value)


def test_an_end_is_the_point_itself_at_0_and_for_a_network_that_says_0_everywhere() -> None:
    process = Process(bridge(BridgeConfig(steps=50)))
    arc, x = Arc(process), torch.randn(1, 2, 3, dtype=torch.float64)
    given = torch.zeros(1, 2, 3, 1, dtype=torch.float64)
    silent, loud = (Denoiser(Network(value), "end", process) for value in (0.0, 2.0))
    for step in (0, 1, 20, 50):
        t = torch.tensor([step])
        assert torch.equal(silent.end(x, given, t), x)
        torch.testing.assert_close(loud.end(x, given, t), x + 2 * arc.angle(t, x).sin())
