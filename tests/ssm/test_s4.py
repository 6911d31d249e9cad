"""S4's parts: LegS as normal plus low rank, Woodbury's step, and the kernel against powers of a
dense matrix.
"""

import pytest
import torch
from ssm_oracles import bilinear, dense, make, random_input

from forecaster.ssm import krylov
from forecaster.ssm.hippo import legs
from forecaster.ssm.modes import matrix
from forecaster.ssm.nplr import legs_modes, to_complex, to_real
from forecaster.ssm.s4 import S4


@pytest.mark.parametrize("N", [1, 2, 3, 8, 31, 64])
def test_normal_plus_low_rank_is_legs(N: int) -> None:
    modes, P = legs_modes(N)
    p = 2 * (modes.V @ P).real
    torch.testing.assert_close(p, (torch.arange(N) + 0.5).double().sqrt(), rtol=0, atol=1e-12)
    torch.testing.assert_close(matrix(modes) - torch.outer(p, p), legs(N)[0], rtol=0, atol=1e-11)
    assert torch.equal(modes.lam.real, torch.full_like(modes.lam.real, -0.5))
    assert len(modes.lam) == (N + 1) // 2


@pytest.mark.parametrize("N", [2, 3, 16, 64])
def test_layer_at_its_start_is_bilinear_legs(N: int) -> None:
    """The kernel in the eigenbasis is the kernel of LegS itself, with the C that was drawn."""
    torch.manual_seed(0)
    layer = S4(1, N, dt_min=0.03, dt_max=0.03).double()
    torch.manual_seed(0)
    C = torch.randn(1, N, dtype=torch.float64)
    A, B = legs(N)
    A_bar, B_bar = bilinear(A, B[:, None], layer.dt().detach(), 0.5)
    wanted = torch.stack(
        [(C @ torch.linalg.matrix_power(A_bar, k) @ B_bar)[0, 0] for k in range(50)]
    )
    torch.testing.assert_close(
        layer.kernel(50)[0].detach(), wanted, rtol=1e-4, atol=1e-5
    )  # the start is rounded to float32


@pytest.mark.parametrize("L", [1, 2, 3, 10, 127, 128, 1000])
@torch.no_grad()
def test_kernel_is_exact_at_every_length(L: int) -> None:
    """No matter how much of the infinite kernel is cut off: at Δ = 10⁻⁴ nearly all."""
    layer = make("s4", 2, 16)
    for rate in (0.01, 1.0, 30.0):
        A, B, C, _ = dense(layer, rate)
        column, wanted = B, []
        for _ in range(L):
            wanted.append(torch.diagonal((C @ column).real))
            column = A @ column
        kernel, truth = layer.kernel(L, rate), torch.stack(wanted, dim=1)
        assert (kernel - truth).abs().max() < 1e-11 * max(1, float(truth.abs().max()))


@torch.no_grad()
def test_shorter_kernels_begin_longer_ones() -> None:
    layer = make("s4", 3, 32)
    whole = layer.kernel(501)
    for L in (1, 100, 500):
        torch.testing.assert_close(layer.kernel(L), whole[:, :L], rtol=0, atol=1e-11)


@torch.no_grad()
def test_woodbury_step_is_the_dense_one() -> None:
    layer = make("s4", 2, 7)
    system = layer.system()
    z = torch.complex(random_input(3, 2, 4), random_input(3, 2, 4, seed=2))
    moved = torch.einsum("hij,bhj->bhi", system.dense(), to_real(z))
    torch.testing.assert_close(
        to_real(system.advance(z, torch.zeros(3, 2, dtype=torch.float64))), moved
    )
    assert torch.equal(to_complex(to_real(z)), z)


@torch.no_grad()
def test_system_stays_stable_whatever_is_learnt() -> None:
    layer = make("s4", 4, 16)
    for parameter in layer.parameters():
        parameter += 2 * torch.randn_like(parameter)
    assert torch.linalg.eigvals(layer.system().dense()).abs().max() < 1 + 1e-12


@torch.no_grad()
@pytest.mark.parametrize("L", [1, 2, 5, 16, 33])
def test_doublings_are_the_powers(L: int) -> None:
    A, B, C = 0.4 * random_input(2, 3, 3), random_input(2, 3, seed=2), random_input(2, 4, 3, seed=3)
    powers = [torch.linalg.matrix_power(A, k) for k in range(L + 1)]
    X = random_input(2, 3, 5, seed=4)
    torch.testing.assert_close(
        krylov.krylov(A, X, L), torch.stack([P @ X for P in powers[:L]], dim=2)
    )
    torch.testing.assert_close(krylov.power(A, X, L), powers[L] @ X)
    torch.testing.assert_close(
        krylov.response(A, C, X, L), torch.stack([C @ P @ X for P in powers[:L]], dim=2)
    )
    u = random_input(6, 2, L, seed=5)
    wanted = sum(torch.einsum("hmn,hn,bh->bhm", powers[L - 1 - j], B, u[..., j]) for j in range(L))
    torch.testing.assert_close(krylov.last_state(A, B, u), wanted)
