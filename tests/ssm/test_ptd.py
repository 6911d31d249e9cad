"""Perturb, then diagonalise, against LegS itself and against S4D, as transfer functions G(s) = C(s
− A)^{−1}B.
"""

import math
from functools import cache
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from forecaster.ssm.diagonal import S4D
from forecaster.ssm.discretise import zoh
from forecaster.ssm.hippo import legs
from forecaster.ssm.modes import Modes, matrix
from forecaster.ssm.nplr import legs_modes
from forecaster.ssm.ptd import SIZE, perturbation, ptd_modes

N = 64


@cache
def frequencies() -> Tensor:
    """The imaginary axis: 0, both resonance grids and their neighbourhood, and far beyond."""
    resonances = torch.cat([legs_modes(N)[0].lam.imag, ptd_modes(N).lam.imag])
    near = (resonances[:, None] + torch.linspace(-1, 1, 21, dtype=torch.float64)).flatten()
    return 1j * torch.cat([near, torch.linspace(-3000, 3000, 3001, dtype=torch.float64)])


def input_to_state(modes: Modes, gain: float = 1.0) -> Tensor:
    """V(s − Λ)^{−1}V^{−1}B with the conjugate modes, (frequencies, N): G for every C at once."""
    s, b = frequencies()[:, None], gain * modes.W @ legs(N)[1].to(modes.W.dtype)
    upper = (b / (s - modes.lam)) @ modes.V.T
    return upper + (b.conj() / (s - modes.lam.conj())) @ modes.V.conj().T


@cache
def of_legs() -> Tensor:
    A, B = legs(N)
    s = frequencies()[:, None, None]
    return torch.linalg.solve(s * torch.eye(N) - A, B.to(s.dtype)[:, None].expand(len(s), N, 1))[
        ..., 0
    ]


def distance(modes: Modes, gain: float = 1.0) -> float:
    """sup |G − G_legs| over the axis, for the worst C of norm 1."""
    return float((input_to_state(modes, gain) - of_legs()).norm(dim=1).max())


def test_ptd_is_near_legs_at_every_frequency_and_s4d_is_not() -> None:
    s4d = min(distance(legs_modes(N)[0], gain) for gain in (0.5, 1.0))
    assert s4d > 10
    assert distance(ptd_modes(N)) < 0.02
    assert distance(ptd_modes(N)) < 1e-3 * s4d
    assert float(of_legs().norm(dim=1).max()) == pytest.approx(
        1, rel=0.05
    )  # so these are relative distances


def test_distance_is_of_the_order_of_the_perturbation() -> None:
    sizes = [0.4, 0.2, 0.1, 0.05]
    distances = [distance(ptd_modes(N, size)) for size in sizes]
    for size, found in zip(sizes, distances, strict=True):
        assert found < 4 * size  # ‖(s − Ã)^{−1}‖ ≤ 2 and ‖(s − A)^{−1}B‖ ≤ 2
    for coarse, fine in pairwise(distances):
        assert coarse / fine == pytest.approx(2, rel=0.3)


def all_columns(modes: Modes) -> Tensor:
    """V with the conjugates, each column of norm 1."""
    real = modes.lam.imag == 0
    V = torch.cat([modes.V[:, real], modes.V[:, ~real], modes.V[:, ~real].conj()], dim=1)
    return V / V.norm(dim=0)


def test_eigenvectors_are_usable_where_those_of_legs_are_not() -> None:
    _, V = torch.linalg.eig(legs(N)[0])
    assert torch.linalg.cond(V) > 1e16
    assert torch.linalg.cond(all_columns(ptd_modes(N))) < 1e5
    for size in (8, 16, 32):
        assert torch.linalg.cond(all_columns(ptd_modes(size))) < 1e5


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 64])
def test_modes_rebuild_the_perturbed_matrix(size: int) -> None:
    """V Λ V^{−1} is LegS up to a matrix of the promised norm, and stays stable."""
    modes, (A, _) = ptd_modes(size), legs(size)
    E = matrix(modes) - A
    # the norm of E is the promised one (none for N = 1, where nothing is needed), and E is skew
    assert float(torch.linalg.matrix_norm(E, 2)) == pytest.approx(SIZE if size > 1 else 0, abs=1e-6)
    assert (E + E.T).abs().max() < 1e-6
    assert modes.lam.real.max() <= -0.5
    assert (modes.lam.imag >= 0).all()


def test_perturbation_is_the_same_at_every_call_and_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert torch.equal(perturbation(8, 0.1, 3), perturbation(8, 0.1, 3))
    assert not torch.equal(perturbation(8, 0.1, 3), perturbation(8, 0.1, 4))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", [20, 28, 31])
def test_a_fourier_mode_on_a_resonance_disturbs_s4d_but_not_ptd(mode: int) -> None:
    """The layers as they start, with the same C: the response to cos(ωt) at one of S4D's
    frequencies against LegS's.
    """
    dt, L = 2e-3, 4000
    wave = torch.cos(legs_modes(N)[0].lam.imag[mode] * dt * torch.arange(L, dtype=torch.float64))[
        None, None
    ]
    outputs = {}
    for start in ("legs", "ptd"):
        torch.manual_seed(0)
        layer = S4D(1, N, start, dt_min=dt, dt_max=dt).double()
        with torch.no_grad():
            layer.D.zero_()
            outputs[start] = layer(wave)[0, 0]
    torch.manual_seed(0)
    C = torch.randn(1, N, dtype=torch.float64)[0]
    A_bar, B_bar = zoh(*legs(N), torch.tensor(dt, dtype=torch.float64))
    x, truth = torch.zeros_like(B_bar), []
    for value in wave[0, 0]:
        x = A_bar @ x + B_bar * value
        truth.append(C @ x)
    error = {start: (output - torch.stack(truth)).abs().max() for start, output in outputs.items()}
    assert error["legs"] > 1
    assert error["ptd"] < 0.02
    assert error["ptd"] < 0.01 * error["legs"]


def test_a_perturbation_of_no_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"size is positive, not 0\.0"):
        ptd_modes(4, 0.0)


def test_s4d_meets_legs_weakly() -> None:
    """With half of B, the response of the first weight to a constant tends to LegS's 1 − e^{−t};
    the kernel itself does not.
    """
    t = torch.linspace(0.1, 3, 100, dtype=torch.float64)
    steps, kernels = [], []
    for size in (16, 64, 256):
        modes, _ = legs_modes(size)
        layer = S4D(1, size, "legs")
        b = torch.view_as_complex(layer.B.detach().double())[0]
        grown = (modes.lam[:, None] * t).exp()
        steps.append(
            (2 * ((modes.V[0] * b / modes.lam) @ (grown - 1)).real - (1 - (-t).exp())).abs().max()
        )
        kernels.append((2 * ((modes.V[0] * b) @ grown).real - (-t).exp()).abs().max())
    assert steps[2] < 0.3 * steps[1] < 0.1 * steps[0]
    assert min(kernels) > 0.5


def test_starts_of_the_diagonal_layer_are_the_papers() -> None:
    """S4D-Lin and S4D-Inv, equations 8 and 9 of the paper, and LegS's normal part, whose real part
    is −½.
    """
    for start, wanted in (
        ("lin", [0, math.pi, 2 * math.pi, 3 * math.pi]),
        ("inv", [8 / math.pi * (8 / (2 * n + 1) - 1) for n in range(4)]),
        ("legs", legs_modes(8)[0].lam.imag.tolist()),
    ):
        lam = S4D(2, 8, start).double().eigenvalues().detach()
        torch.testing.assert_close(lam.real, torch.full((2, 4), -0.5, dtype=torch.float64))
        torch.testing.assert_close(
            lam.imag, torch.tensor([wanted] * 2, dtype=torch.float64), rtol=1e-6, atol=1e-6
        )
