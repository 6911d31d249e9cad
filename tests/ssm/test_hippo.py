"""HiPPO's facts: what each matrix remembers, and how it forgets."""

import numpy as np
import pytest
import torch
from numpy.polynomial import Polynomial, laguerre, legendre
from ssm_oracles import bilinear
from torch import Tensor

from forecaster.ssm.discretise import expm
from forecaster.ssm.hippo import HIPPO, lagt, legs, legt

SIZES = [1, 2, 3, 5, 8]


def basis(N: int, kind: str, x: np.ndarray) -> np.ndarray:
    """The N orthonormal polynomials at x: √(2n+1) P_n(2x − 1) on [0, 1], or L_n on [0, ∞)."""
    if kind == "laguerre":
        return laguerre.lagvander(x, N - 1)
    return legendre.legvander(2 * x - 1, N - 1) * np.sqrt(2 * np.arange(N) + 1)


def memory(N: int, measure: str, u: Polynomial, t: float) -> np.ndarray:
    """The projection of u's past at t, by Gaussian quadrature (exact for a polynomial)."""
    if measure == "lagt":
        age, weight = laguerre.laggauss(40)
        return (weight * u(t - age)) @ basis(N, "laguerre", age)
    node, weight = legendre.leggauss(40)
    x, weight = (node + 1) / 2, weight / 2
    return (weight * u(t * x if measure == "legs" else t - 1 + x)) @ basis(N, "legendre", x)


def reading(N: int, measure: str, c: np.ndarray, t: float, past: np.ndarray) -> np.ndarray:
    """The function of time that the coefficients c stand for, at the times ``past``."""
    if measure == "lagt":
        return basis(N, "laguerre", t - past) @ c
    return basis(N, "legendre", past / t if measure == "legs" else past - t + 1) @ c


def polynomial(N: int) -> Polynomial:
    """One of degree N − 1."""
    return Polynomial(np.random.default_rng(N).normal(size=N))


def test_legs_of_size_three() -> None:
    A, B = legs(3)
    wanted = [[-1, 0, 0], [-(3**0.5), -2, 0], [-(5**0.5), -(15**0.5), -3]]
    torch.testing.assert_close(A, torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-15)
    torch.testing.assert_close(
        B, torch.tensor([1, 3**0.5, 5**0.5], dtype=torch.float64), rtol=0, atol=1e-15
    )


def test_legt_and_lagt_of_size_three() -> None:
    s3, s5, s15 = 3**0.5, 5**0.5, 15**0.5
    wanted = [[-1, s3, -s5], [-s3, -3, s15], [-s5, -s15, -5]]
    torch.testing.assert_close(
        legt(3)[0], torch.tensor(wanted, dtype=torch.float64), rtol=0, atol=1e-14
    )
    torch.testing.assert_close(
        legt(3)[1], torch.tensor([1, s3, s5], dtype=torch.float64), rtol=0, atol=1e-15
    )
    wanted = [[-1.0, 0, 0], [-1, -1, 0], [-1, -1, -1]]
    torch.testing.assert_close(lagt(3)[0], torch.tensor(wanted, dtype=torch.float64))
    assert torch.equal(lagt(3)[1], torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("measure", HIPPO)
@pytest.mark.parametrize("N", SIZES)
def test_true_memory_of_a_polynomial_solves_the_equation(measure: str, N: int) -> None:
    """c(t) by quadrature, its derivative by a central difference of a polynomial of low degree."""
    A, B = (part.numpy() for part in HIPPO[measure](N))
    u, t, h = polynomial(N), 1.7, 1e-3
    c = {k: memory(N, measure, u, t + k * h) for k in (-2, -1, 0, 1, 2)}
    slope = (c[-2] - 8 * c[-1] + 8 * c[1] - c[2]) / (12 * h)
    right = A @ c[0] + B * u(t)
    np.testing.assert_allclose(
        slope, right / t if measure == "legs" else right, rtol=1e-8, atol=1e-8
    )


def remembered(N: int, measure: str, u: Polynomial, t: float, h: float) -> np.ndarray:
    """The state at t after a walk from rest, bilinear, with steps h: in log t for LegS, whose
    equation has A/t.
    """
    A, B = HIPPO[measure](N)
    length = 24.0
    count = round(length / h)
    place = np.arange(1 - count, 1) * h
    times = t * np.exp(place) if measure == "legs" else t + place
    A_bar, B_bar = bilinear(A, B, torch.tensor(h, dtype=torch.float64), 0.5)
    x = torch.zeros_like(B)
    for value in torch.from_numpy(u(times)):
        x = A_bar @ x + B_bar * value
    return x.numpy()


@pytest.mark.parametrize("measure", HIPPO)
@pytest.mark.parametrize("N", [1, 2, 4])
def test_memory_of_a_polynomial_read_back_is_the_polynomial(measure: str, N: int) -> None:
    """Inputs are held over a step, so the error is of the first order: it halves with the step, and
    extrapolates away.
    """
    u, t = polynomial(N), 1.3
    past = np.linspace(0.4, 1.3, 30)
    coarse, fine = (
        reading(N, measure, remembered(N, measure, u, t, h), t, past) - u(past)
        for h in (0.02, 0.01)
    )
    scale = np.abs(u(past)).max()
    assert np.abs(fine).max() < 0.3 * scale
    assert np.abs(2 * fine - coarse).max() < 0.01 * scale
    if N > 1:
        assert np.abs(coarse).max() / np.abs(fine).max() == pytest.approx(2, rel=0.1)


def kernel(measure: str, N: int, age: np.ndarray) -> np.ndarray:
    """e^{sA} B: what an impulse of age s has left in the state, (ages, N)."""
    A, B = HIPPO[measure](N)
    return (expm(torch.from_numpy(age)[:, None, None] * A) @ B).numpy()


@pytest.mark.parametrize("N", [1, 3, 8])
def test_legs_forgets_exponentially(N: int) -> None:
    age = np.linspace(0, 6, 25)
    wanted = np.exp(-age)[:, None] * basis(N, "legendre", np.exp(-age))
    np.testing.assert_allclose(kernel("legs", N, age), wanted, atol=1e-11)


@pytest.mark.parametrize("N", [1, 3, 8])
def test_lagt_forgets_exponentially(N: int) -> None:
    age = np.linspace(0, 6, 25)
    np.testing.assert_allclose(
        kernel("lagt", N, age), np.exp(-age)[:, None] * basis(N, "laguerre", age), atol=1e-11
    )


def test_legt_forgets_all_that_is_older_than_its_window() -> None:
    """Cli the window the first kernels are Legendre's polynomials, after it they vanish, the
    better the larger N.
    """
    inside, outside = np.linspace(0.02, 0.9, 40), np.linspace(1.15, 4, 40)
    left = []
    for N in (4, 16, 64):
        error = np.abs(kernel("legt", N, inside)[:, :2] - basis(2, "legendre", 1 - inside))
        left.append((error.max(), np.abs(kernel("legt", N, outside)[:, :2]).max()))
    assert left[2][0] < left[1][0] < left[0][0]
    assert left[2][1] < left[1][1] < left[0][1]
    assert left[2][1] < 0.02


def test_legs_over_t_never_forgets() -> None:
    """Scale invariance: the state at 2t of the signal stretched by 2 is the state at t, and the
    first weight is the mean.
    """
    N, u = 4, polynomial(6)
    stretched = u(Polynomial([0, 0.5]))
    np.testing.assert_allclose(
        memory(N, "legs", stretched, 2.6), memory(N, "legs", u, 1.3), rtol=1e-12
    )
    walked = remembered(N, "legs", stretched, 2.6, 0.01)
    np.testing.assert_allclose(walked, remembered(N, "legs", u, 1.3, 0.01), rtol=1e-9)
    assert walked[0] == pytest.approx((u.integ()(1.3) - u.integ()(0)) / 1.3, rel=0.02)


@pytest.mark.parametrize("measure", HIPPO)
def test_memories_fade(measure: str) -> None:
    A, _ = HIPPO[measure](12)
    symmetric: Tensor = A + A.T
    assert torch.linalg.eigvals(A).real.max() < 0
    assert torch.linalg.eigvalsh(symmetric).max() < 1e-12  # the state's norm never grows by itself


def test_a_state_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one dimension, not 0"):
        legs(0)
