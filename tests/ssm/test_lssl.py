"""LSSL's structured class and its solve, its two kinds, and the continuous system that its views
stand for.
"""

import pytest
import torch
from ssm_oracles import bilinear, make, random_input, steps, structured
from torch import Tensor

from forecaster.ssm import tridiagonal
from forecaster.ssm.discretise import gbt
from forecaster.ssm.hippo import HIPPO, Measure
from forecaster.ssm.lssl import LSSL
from forecaster.ssm.quasiseparable import Quasiseparable

EVERY = pytest.mark.parametrize("measure", HIPPO)
SIZES = pytest.mark.parametrize("N", [1, 2, 3, 16, 64])


def elsewhere(measure: Measure, H: int, N: int, noise: float = 0.3) -> Quasiseparable:
    """Members of the class away from HiPPO."""
    A = Quasiseparable(measure, H, N, trainable=True).double()
    with torch.no_grad():
        for n, parameter in enumerate(A.parameters()):
            parameter += noise * random_input(*parameter.shape, seed=n)
    return A


@EVERY
@SIZES
@torch.no_grad()
def test_class_contains_hippo(measure: Measure, N: int) -> None:
    wanted, _ = HIPPO[measure](N)
    A = Quasiseparable(measure, 1, N, trainable=False).double()
    torch.testing.assert_close(
        structured(A)[0], wanted, rtol=2e-6, atol=1e-5
    )  # the start is rounded to float32
    torch.set_default_dtype(torch.float64)
    try:
        A = Quasiseparable(measure, 1, N, trainable=False)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(structured(A)[0], wanted, rtol=0, atol=1e-11)


@EVERY
@SIZES
@pytest.mark.parametrize("h", [0.0, 1e-4, 0.05, 0.5, 1.0, 30.0])
@torch.no_grad()
def test_fast_solve_and_product_are_the_dense_ones(measure: Measure, N: int, h: float) -> None:
    for A in (
        Quasiseparable(measure, 2, N, trainable=True).double(),
        elsewhere(measure, 2, N, 0.1),
    ):
        step, v, matrix = (
            torch.tensor([h, h / 3], dtype=torch.float64),
            random_input(5, 2, N),
            structured(A),
        )
        x = A.solve(v, step)
        wanted = torch.linalg.solve(torch.eye(N) - step[:, None, None] * matrix, v[..., None])[
            ..., 0
        ]
        assert (x - wanted).abs().max() < 1e-10 * max(1, float(wanted.abs().max()))
        product = torch.einsum("hmn,bhn->bhm", matrix, v)
        assert (A.multiply(v) - product).abs().max() < 1e-10 * max(1, float(product.abs().max()))


def test_legs_solve_survives_the_step_where_a_diagonal_vanishes() -> None:
    """E = 1 − hPDQ = 1 − hn is 0 at h = 1/n."""
    A = Quasiseparable("legs", 1, 8, trainable=False).double()
    v = random_input(1, 1, 8)
    x = A.solve(v, torch.tensor([0.25], dtype=torch.float64))
    torch.testing.assert_close(x - 0.25 * A.multiply(x), v)


@EVERY
def test_gradients_of_the_solve_are_the_dense_ones(measure: Measure) -> None:
    A, v = elsewhere(measure, 2, 5), random_input(3, 2, 5).requires_grad_()
    h = torch.tensor([0.1, 0.7], dtype=torch.float64, requires_grad=True)
    weight, inputs = random_input(3, 2, 5, seed=8), [v, h, *A.parameters()]
    dense = torch.linalg.solve(torch.eye(5) - h[:, None, None] * structured(A), v[..., None])[
        ..., 0
    ]
    wanted = torch.autograd.grad((dense * weight).sum(), inputs)
    found = torch.autograd.grad((A.solve(v, h) * weight).sum(), inputs)
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-9)


@EVERY
@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
@torch.no_grad()
def test_whatever_is_learnt_is_stable(measure: Measure, noise: float) -> None:
    """No eigenvalue of A is right of the axis, so none of Ā leaves the disk for α ≥ ½."""
    layer = LSSL(20, 6, measure=measure).double()
    layer.dynamics.A = elsewhere(measure, 20, 6, noise)
    matrix = structured(layer.dynamics.A)
    assert (torch.linalg.eigvals(matrix).real.amax(-1) <= 1e-9 * matrix.abs().amax((-1, -2))).all()
    assert torch.linalg.eigvals(layer.dynamics.matrices()[0]).abs().max() < 1 + 1e-7


@EVERY
def test_every_part_of_the_class_learns(measure: Measure) -> None:
    torch.manual_seed(0)
    layer = LSSL(2, 6, measure=measure)
    layer(random_input(1, 2, 30).float()).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0, name


@EVERY
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@torch.no_grad()
def test_views_are_those_of_the_continuous_system(measure: Measure, alpha: float) -> None:
    """Ā and B̄ of either kind are the transform of HiPPO's A and B."""
    wanted = HIPPO[measure](5)
    for trainable in (True, False):
        layer = LSSL(3, 5, trainable=trainable, alpha=alpha, measure=measure).double()
        dt = getattr(layer.dynamics, "dynamics", layer.dynamics).dt()
        A, B = layer.dynamics.matrices()
        for h in range(3):
            for dense in (gbt(*wanted, dt[h], alpha), bilinear(wanted[0], wanted[1], dt[h], alpha)):
                torch.testing.assert_close(A[h], dense[0], rtol=1e-5, atol=1e-6)
                torch.testing.assert_close(B[h], dense[1], rtol=1e-5, atol=1e-6)


def test_feature_h_gives_the_channels_from_hm_on() -> None:
    layer, u = make("lssl", 3, 4), random_input(2, 3, 11)
    quiet = u.clone()
    quiet[:, 1] = 0
    moved = (layer(u) != layer(quiet)).any(-1).any(0)
    assert moved.tolist() == [False, False, True, True, False, False]


def test_fixed_kind_learns_only_what_reads_the_state() -> None:
    layer = LSSL(2, 4, trainable=False)
    assert {name for name, _ in layer.named_parameters()} == {"C", "D"}
    assert set(layer.state_dict()) == {"C", "D"}
    assert {name.split(".")[-1] for name, _ in LSSL(2, 4).named_parameters()} == {
        *("log_p", "log_q", "D", "lower", "diag", "upper", "log_dt", "B", "C")
    }


def powers_of(layer: LSSL) -> Tensor:
    return layer.dynamics._cache["powers"][1][1]  # type: ignore[union-attr]


def test_fixed_powers_are_computed_once_and_forgotten_with_the_precision() -> None:
    layer, u = LSSL(2, 4, trainable=False), random_input(1, 2, 9).float()
    with torch.inference_mode():  # as a trainer validates before it trains
        layer(u)
    first = powers_of(layer)
    layer(u).sum().backward()
    assert powers_of(layer) is first
    layer(u, rate=2.0)
    assert powers_of(layer) is not first
    layer.double()
    assert layer(u.double()).dtype == torch.float64
    u = u.double()
    torch.testing.assert_close(layer(u), steps(layer, u, layer.initial(1))[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("N", [1, 2, 9])
def test_tridiagonal_solve_and_product(N: int) -> None:
    lower, diag, upper = (
        random_input(4, N - 1),
        3 + random_input(4, N, seed=2).abs(),
        random_input(4, N - 1, seed=3),
    )
    T = torch.diag_embed(diag) + torch.diag_embed(lower, -1) + torch.diag_embed(upper, 1)
    v = random_input(2, 4, N, seed=4)
    torch.testing.assert_close(
        tridiagonal.multiply(lower, diag, upper, v), torch.einsum("bij,cbj->cbi", T, v)
    )
    torch.testing.assert_close(
        tridiagonal.solve(lower, diag, upper, v),
        torch.linalg.solve(T, v[..., None])[..., 0],
        rtol=1e-9,
        atol=1e-12,
    )


def test_transforms_outside_the_family_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha lies between 0"):
        LSSL(1, 2, alpha=1.2)
