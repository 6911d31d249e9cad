"""The discretisations against their closed forms and the matrix exponential."""

import pytest
import scipy.linalg
import torch
from ssm_oracles import random_input
from torch import Tensor

from forecaster.ssm.discretise import StepSize, expm, expm1, gbt, zoh, zoh_diagonal

EYE = torch.eye(3, dtype=torch.float64)


def systems() -> tuple[Tensor, Tensor, Tensor]:
    """Five systems with their steps."""
    return (
        random_input(5, 3, 3),
        random_input(5, 3, seed=2),
        torch.tensor([1e-3, 0.03, 0.1, 0.5, 2.0], dtype=torch.float64),
    )


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_bilinear_transform_of_a_scalar_is_its_closed_form(alpha: float) -> None:
    """x' = −3x + 2u with Δ = 0.1."""
    one = torch.ones((), dtype=torch.float64)
    A, B = gbt(-3 * one.reshape(1, 1), 2 * one.reshape(1), 0.1 * one, alpha)
    assert float(A) == pytest.approx((1 - 0.3 * (1 - alpha)) / (1 + 0.3 * alpha), abs=1e-15)
    assert float(B) == pytest.approx(0.2 / (1 + 0.3 * alpha), abs=1e-15)


def test_bilinear_transform_at_its_named_points() -> None:
    A, B, dt = systems()
    step = dt[:, None, None]
    forward, backward, middle = (gbt(A, B, dt, alpha) for alpha in (0.0, 1.0, 0.5))
    torch.testing.assert_close(forward[0], EYE + step * A, rtol=0, atol=1e-12)
    torch.testing.assert_close(forward[1], dt[:, None] * B, rtol=0, atol=1e-12)
    torch.testing.assert_close((EYE - step * A) @ backward[0], EYE.expand_as(A), rtol=0, atol=1e-11)
    torch.testing.assert_close(
        (EYE - step / 2 * A) @ middle[0], EYE + step / 2 * A, rtol=0, atol=1e-11
    )
    torch.testing.assert_close(
        ((EYE - step / 2 * A) @ middle[1][..., None])[..., 0], dt[:, None] * B, rtol=0, atol=1e-11
    )


def test_orders_of_the_transforms() -> None:
    """e^{ΔA} is met to the second order, and to the third at α = ½: halving Δ divides the error by
    4 and by 8.
    """
    A, B, _ = systems()
    for alpha, factor in ((0.0, 4), (0.5, 8), (1.0, 4)):
        error = [
            float(
                (
                    gbt(A, B, torch.full((5,), dt, dtype=torch.float64), alpha)[0] - expm(dt * A)
                ).norm()
            )
            for dt in (0.004, 0.002)
        ]
        assert error[0] / error[1] == pytest.approx(factor, rel=0.05)


def test_zero_order_hold_is_the_exponential_and_its_integral() -> None:
    A, B, dt = systems()
    A_bar, B_bar = zoh(A, B, dt)
    for n in range(5):
        wanted = torch.from_numpy(scipy.linalg.expm(float(dt[n]) * A[n].numpy()))
        torch.testing.assert_close(A_bar[n], wanted, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(A[n] @ B_bar[n], (wanted - EYE) @ B[n], rtol=1e-11, atol=1e-12)


def test_zero_order_hold_of_a_double_integrator() -> None:
    """A is singular; from rest with u = 1, the place after Δ is Δ²/2 and the speed is Δ."""
    A, B = torch.tensor([[0.0, 1.0], [0.0, 0.0]]).double(), torch.tensor([0.0, 1.0]).double()
    A_bar, B_bar = zoh(A, B, torch.tensor(0.3, dtype=torch.float64))
    torch.testing.assert_close(A_bar, torch.tensor([[1.0, 0.3], [0.0, 1.0]]).double())
    torch.testing.assert_close(B_bar, torch.tensor([0.045, 0.3]).double())


@pytest.mark.parametrize("scale", [0.0, 1e-6, 0.01, 0.03, 1.0, 20.0])
def test_exponential_is_scipys(scale: float) -> None:
    X = scale * random_input(4, 4)
    wanted = torch.from_numpy(scipy.linalg.expm(X.numpy()))
    assert (expm(X) - wanted).abs().max() < 1e-12 * wanted.abs().max()


def test_diagonal_hold_is_the_dense_one() -> None:
    lam = torch.complex(-random_input(4).exp(), 5 * random_input(4, seed=3))
    exponent, gain = zoh_diagonal(lam, torch.tensor(0.2, dtype=torch.float64))
    dense = expm(0.2 * torch.diag(lam))
    torch.testing.assert_close(torch.diag(exponent.exp()), dense, rtol=0, atol=1e-14)
    torch.testing.assert_close(torch.diag(lam * gain), dense - torch.eye(4), rtol=0, atol=1e-14)


def test_small_exponents_keep_their_digits() -> None:
    tiny = torch.tensor([1e-12 + 3e-12j, -1e-9j, 0j, -800 + 1j], dtype=torch.complex128)
    wanted = torch.cat([(tiny + tiny**2 / 2)[:3], -torch.ones(1, dtype=torch.complex128)])
    torch.testing.assert_close(expm1(tiny), wanted, rtol=1e-15, atol=0)


def test_steps_start_log_spaced_inside_their_range() -> None:
    dt = StepSize(50, 1e-3, 1e-1).double()()
    assert dt.min() > 1e-3
    assert dt.max() < 1e-1
    ratios = dt[1:] / dt[:-1]
    torch.testing.assert_close(ratios, torch.full_like(ratios, 100 ** (1 / 50)), rtol=1e-5, atol=0)
    assert StepSize(1, 1e-3, 1e-1)().item() == pytest.approx(1e-2)


@pytest.mark.parametrize("alpha", [-0.1, 1.5])
def test_transforms_outside_the_family_are_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"not {alpha}"):
        gbt(*systems(), alpha)
