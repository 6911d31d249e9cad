"""The scan against a loop; the sums of powers against the Vandermonde matrix; the FFT against the
definition.
"""

import pytest
import torch
from ssm_oracles import random_input
from torch import Tensor

from forecaster.ssm.convolution import convolve
from forecaster.ssm.scan import scan
from forecaster.ssm.vandermonde import last_state, powers, vandermonde

LENGTHS = pytest.mark.parametrize("L", [1, 2, 3, 4, 7, 8, 31, 100])


def random_complex(*shape: int, seed: int = 1) -> Tensor:
    return torch.complex(random_input(*shape, seed=seed), random_input(*shape, seed=seed + 100))


def loop(a: Tensor, b: Tensor) -> Tensor:
    states = [b[..., 0]]
    for k in range(1, b.shape[-1]):
        states.append(a[..., k] * states[-1] + b[..., k])
    return torch.stack(states, dim=-1)


@LENGTHS
def test_scan_is_the_loop_with_its_gradients(L: int) -> None:
    a, b = (
        (0.7 * random_complex(3, L)).requires_grad_(),
        random_complex(2, 3, L, seed=2).requires_grad_(),
    )
    weight = random_complex(2, 3, L, seed=3)
    found, wanted = scan(a, b), loop(a, b)
    torch.testing.assert_close(found, wanted)
    gradients = [
        torch.autograd.grad(
            (x * weight).real.sum(), (a, b), allow_unused=True, materialize_grads=True
        )
        for x in (found, wanted)
    ]
    for got, want in zip(*gradients, strict=True):
        torch.testing.assert_close(got, want)


def test_scan_composes_rather_than_walks() -> None:
    """Zeros among the factors start the sequence anew; nothing is divided by them."""
    a = torch.ones(1, 12, dtype=torch.complex128)
    a[0, 5] = 0
    b = torch.ones(1, 1, 12, dtype=torch.complex128)
    assert scan(a, b).real[0, 0].tolist() == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6, 7]


@LENGTHS
def test_sums_of_powers_are_the_vandermonde_product(L: int) -> None:
    exponent = torch.complex(-random_input(2, 5).exp() / 10, random_input(2, 5, seed=2))
    weight = random_complex(3, 2, 5, seed=3)
    matrix = (exponent[..., None] * torch.arange(L)).exp()
    torch.testing.assert_close(powers(exponent, L), matrix)
    torch.testing.assert_close(
        vandermonde(weight, exponent, L), 2 * torch.einsum("bhm,hml->bhl", weight, matrix).real
    )
    u = random_input(3, 2, L, seed=4)
    wanted = torch.einsum("hml,bhl->bhm", matrix.flip(-1), u.to(matrix.dtype))
    torch.testing.assert_close(last_state(exponent, u), wanted)


@LENGTHS
def test_convolution_is_causal_and_does_not_wrap(L: int) -> None:
    K, u = random_input(2, 3, L), random_input(4, 2, L, seed=2)
    wanted = torch.stack(
        [sum(K[None, ..., i] * u[..., None, k - i] for i in range(k + 1)) for k in range(L)], dim=-1
    )
    torch.testing.assert_close(convolve(K, u), wanted)
