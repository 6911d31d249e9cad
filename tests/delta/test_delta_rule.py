"""The delta rule: chunks are the recurrence; what it recalls, and which states it can track."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from forecaster.delta.rule import chunked, step

Inputs = tuple[Tensor, ...]


def inputs(B: int, L: int, n: int, N: int, D: int, gate: bool = True, seed: int = 0) -> Inputs:
    """q, k, v, β in (0, 2), log α and a state, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    q, k = normal(B, L, N), normal(B, L, n, N)
    q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)
    log_alpha = -normal(B, L).exp() if gate else torch.zeros(B, L, dtype=torch.float64)
    beta = 2 * normal(B, L, n).sigmoid()
    return q, k, normal(B, L, n, D), beta, log_alpha, normal(B, D, N)


def dense(*given: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence as it is written, with dense Householder matrices, one sequence at a time."""
    outputs, states = [], []
    for q, k, v, beta, log_alpha, S in zip(*given, strict=True):
        eye, read = torch.eye(k.shape[-1], dtype=k.dtype), []
        for t in range(len(q)):
            alpha = log_alpha[t].exp()
            for i in range(k.shape[1]):
                H = eye - beta[t, i] * torch.outer(k[t, i], k[t, i])
                S = alpha * S @ H + beta[t, i] * torch.outer(v[t, i], k[t, i])
                alpha = torch.ones_like(alpha)
            read.append(S @ q[t])
        outputs.append(torch.stack(read))
        states.append(S)
    return torch.stack(outputs), torch.stack(states)


def stepped(*given: Tensor) -> tuple[Tensor, Tensor]:
    *sequences, S = given
    read = []
    for t in range(sequences[0].shape[1]):
        o, S = step(*(each[:, t] for each in sequences), S)
        read.append(o)
    return torch.stack(read, dim=1), S


def close(got: tuple[Tensor, ...], wanted: tuple[Tensor, ...], near: float = 1e-10) -> None:
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=near)


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("L", [1, 2, 7, 33])
@torch.no_grad()
def test_chunks_steps_and_dense_matrices_agree(L: int, n: int, gate: bool) -> None:
    given = inputs(2, L, n, 5, 3, gate)
    wanted = dense(*given)
    close(stepped(*given), wanted)
    for chunk in (1, 2, 5, 16, L, 64):
        close(chunked(*given, chunk=chunk), wanted)


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("n", [1, 2])
def test_gradients_of_chunks_are_those_of_the_recurrence(n: int, gate: bool) -> None:
    given = tuple(each.requires_grad_() for each in inputs(2, 11, n, 4, 3, gate))
    weights = (torch.randn(2, 11, 3).double(), torch.randn(2, 3, 4).double())

    def gradients(found: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        loss = sum((w * x).sum() for w, x in zip(weights, found, strict=True))
        return torch.autograd.grad(loss, given)

    wanted = gradients(dense(*given))
    close(gradients(stepped(*given)), wanted)
    for chunk in (1, 4, 11, 32):
        close(gradients(chunked(*given, chunk=chunk)), wanted)


@torch.no_grad()
def test_a_long_sequence_of_strong_decays_neither_overflows_nor_loses_digits() -> None:
    q, k, v, beta, log_alpha, S = inputs(1, 700, 2, 6, 4)
    given = (q, k, v, beta, 200 * log_alpha, S)
    close(chunked(*given, chunk=64), stepped(*given))
    singles = [each.float() for each in inputs(1, 700, 1, 6, 4)]
    close(chunked(*singles), stepped(*singles), 1e-4)


@torch.no_grad()
def test_orthonormal_keys_are_overwritten_and_recalled_exactly() -> None:
    """β = 1: a dictionary. Every key recalls the last value written to it, and nothing else."""
    N, L = 8, 60
    basis = torch.linalg.qr(torch.randn(N, N, dtype=torch.float64)).Q
    asked, written = torch.randint(N, (2, L))
    v = torch.randn(1, L, 1, 3, dtype=torch.float64)
    ones, zeros = torch.ones(1, L, 1).double(), torch.zeros(1, L).double()
    S = torch.zeros(1, 3, N, dtype=torch.float64)
    found, _ = chunked(basis[None, asked], basis[None, written, None], v, ones, zeros, S, chunk=7)
    last: dict[int, Tensor] = {}
    for t, (key, question) in enumerate(zip(written.tolist(), asked.tolist(), strict=True)):
        last[key] = v[0, t, 0]
        close((found[0, t],), (last.get(question, torch.zeros(3).double()),), 1e-12)


def walk(keys: Tensor, values: Tensor, beta: Tensor, q: Tensor) -> Tensor:
    """What is read from one sequence, from rest, without decay: keys (L, n, N) to outputs (L, D)."""
    L, D, N = len(keys), values.shape[-1], keys.shape[-1]
    rest, zeros = torch.zeros(1, D, N).double(), torch.zeros(1, L).double()
    query = q.expand(1, L, N)
    return chunked(query, keys[None], values[None], beta[None], zeros, rest)[0][0]


@torch.no_grad()
def test_a_negative_eigenvalue_tracks_parity_at_any_length() -> None:
    """With β = 2x and v = ½ a one turns S to 1 − S, and a zero leaves it."""
    x = torch.randint(2, (5000,)).double()
    one = torch.ones(1).double()
    found = walk(one.expand(5000, 1, 1), 0.5 * one.expand(5000, 1, 1), 2 * x[:, None], one)
    assert torch.equal(found[:, 0], x.cumsum(0) % 2)


@torch.no_grad()
def test_without_negative_eigenvalues_no_weights_track_parity() -> None:
    """On a row of ones every token is the same: k, v, β and q. Then o_t − o_{t−1} is (1 − β) times
    that before it, so for β ≤ 1 each number goes one way and settles, whereas parity alternates.
    """
    for seed in range(50):
        q, k, v, beta, _, _ = inputs(1, 1, 1, 4, 3, seed=seed)
        token = (k[0].expand(200, 1, 4), v[0].expand(200, 1, 3))
        low = walk(*token, beta[0].expand(200, 1) / 2, q[0, 0]).diff(dim=0)
        assert (low[1:] * low[:-1] >= -1e-28).all()  # but for rounding
        assert (low[1:].abs() <= low[:-1].abs() + 1e-15).all()
        high = walk(*token, torch.full((200, 1), 1.7).double(), q[0, 0]).diff(dim=0)
        assert (high[1:20] * high[:19] < 0).all()


SYMMETRIC = list(itertools.permutations(range(3)))


def as_matrix(permutation: tuple[int, ...]) -> Tensor:
    """How it moves the corners of a triangle in the plane."""
    angle = 2 * math.pi / 3 * torch.arange(3).double() + math.pi / 2
    corners = torch.stack([angle.cos(), angle.sin()])  # (2, 3), Σ c cᵀ = 3/2
    return corners[:, list(permutation)] @ corners.T / 1.5


def reflections(M: Tensor) -> tuple[Tensor, Tensor]:
    """Two keys and their β, of which the Householder steps multiply to M."""
    if torch.linalg.det(M) < 0:  # a reflection, and a step that does nothing
        vectors = torch.linalg.eigh((M + M.T) / 2).eigenvectors
        return torch.stack([vectors[:, 0], vectors[:, 1]]), torch.tensor([2.0, 0.0]).double()
    half = torch.atan2(M[1, 0], M[0, 0]) / 2
    keys = torch.stack([torch.stack([half.cos(), half.sin()]), torch.tensor([1.0, 0.0]).double()])
    return keys, torch.tensor([2.0, 2.0]).double()


@torch.no_grad()
def test_two_householder_steps_a_token_track_the_permutations_of_three() -> None:
    """A first token writes the identity; then every token multiplies by its permutation."""
    L = 400
    tokens = torch.randint(6, (L,), generator=torch.Generator().manual_seed(0)).tolist()
    moves = [reflections(as_matrix(SYMMETRIC[token])) for token in tokens]
    eye, nothing = torch.eye(2).double(), torch.zeros(L, 2, 2).double()
    keys = torch.cat([eye[None], torch.stack([k for k, _ in moves])])
    beta = torch.cat([torch.ones(1, 2).double(), torch.stack([b for _, b in moves])])
    q = torch.tensor([math.cos(0.3), math.sin(0.3)]).double()  # no two permutations move it alike
    found = walk(keys, torch.cat([eye[None], nothing]), beta, q)[1:]
    images = torch.stack([as_matrix(each) @ q for each in SYMMETRIC])
    assert torch.pdist(images).min() > 0.3
    state, tracked = (0, 1, 2), []
    for token in tokens:
        state = tuple(state[i] for i in SYMMETRIC[token])
        tracked.append(SYMMETRIC.index(state))
    close((found,), (images[tracked],), 1e-9)


@torch.no_grad()
def test_one_step_a_token_is_no_rotation_and_two_are() -> None:
    """One has real eigenvalues, 1 and 1 − β; a third of a turn has none."""
    rotation = as_matrix((1, 2, 0))
    keys, beta = reflections(rotation)
    one, other = (torch.eye(2) - b * torch.outer(k, k) for k, b in zip(keys, beta, strict=True))
    torch.testing.assert_close(one @ other, rotation)
    assert torch.linalg.eigvals(rotation).imag.abs().min() > 0.8
    assert all(torch.linalg.eigvals(each).imag.abs().max() == 0 for each in (one, other))
