"""Powers of a dense Ā without a loop over the sequence: doubling, and baby-step giant-step.

symbol        code       for
Ā, B̄, C       A, B, C    x_k = Ā x_{k−1} + B̄ u_k, y_k = C x_k; H systems at once, M outputs each
C Ā^l X       response   the kernel (X = B̄), or the free response of a state (X = Ā x_0)

With s = ⌈√L⌉ and l = s·j + i, C Ā^l X = (C Ā^{sj})(Ā^i X): N × s numbers on either side in place of
N × L.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def power(A: Float[Tensor, "H N N"], X: Float[Tensor, "H N K"], n: int) -> Float[Tensor, "H N K"]:
    """Ā^n X, with log₂ n squarings."""
    while n:
        if n % 2:
            X = A @ X
        n //= 2
        if n:
            A = A @ A
    return X


def krylov(
    A: Float[Tensor, "H N N"], X: Float[Tensor, "H N K"], n: int
) -> Float[Tensor, "H N n K"]:
    """(X, ĀX, Ā²X, …, Ā^{n−1}X), by doubling the number of powers."""
    K, known = X.shape[-1], 1
    while known < n:
        X = torch.cat([X, A @ X], dim=-1)
        known *= 2
        if known < n:
            A = A @ A
    return X[..., : n * K].unflatten(-1, (n, K))


def response(
    A: Float[Tensor, "H N N"], C: Float[Tensor, "H M N"], X: Float[Tensor, "H N K"], L: int
) -> Float[Tensor, "H M L K"]:
    """C Ā^l X for l < L, in O(N³ log L + (M + K)N²√L + MKNL) and memory O((M + K)N√L + MKL)."""
    s = math.isqrt(L - 1) + 1
    small = krylov(A, X, s)
    giant_step = power(A, torch.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand_as(A), s)
    giant = krylov(giant_step.mT, C.mT, -(-L // s))
    return torch.einsum("hnjm,hnik->hmjik", giant, small).flatten(2, 3)[:, :, :L]


def last_state(
    A: Float[Tensor, "H N N"], B: Float[Tensor, "H N"], u: Float[Tensor, "B H L"]
) -> Float[Tensor, "B H N"]:
    """Σ_j Ā^{L−1−j} B̄ u_j: the state after u, from rest.

    Over pieces of ⌈√L⌉ inputs first, which are then combined in pairs.
    """
    s = math.isqrt(u.shape[-1] - 1) + 1
    pieces = 1 << max(-(-u.shape[-1] // s) - 1, 0).bit_length()
    u = torch.nn.functional.pad(u, (pieces * s - u.shape[-1], 0)).unflatten(-1, (pieces, s))
    z = torch.einsum(
        "hni,bhpi->hnbp", krylov(A, B[..., None], s)[..., 0].flip(-1), u
    )  # (H, N, B, pieces)
    A = power(A, torch.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand_as(A), s)
    while z.shape[-1] > 1:
        z = torch.einsum("hnm,hmbp->hnbp", A, z[..., 0::2]) + z[..., 1::2]
        A = A @ A
    return z[..., 0].permute(2, 0, 1)


def free_response(
    A: Float[Tensor, "H N N"], C: Float[Tensor, "H M N"], x: Float[Tensor, "B H N"], L: int
) -> tuple[Float[Tensor, "B H M L"], Float[Tensor, "B H N"]]:
    """The outputs C Ā^{l+1} x for l < L of a state x without further input, and Ā^L x."""
    X = x.permute(1, 2, 0)
    return response(A, C, A @ X, L).permute(3, 0, 1, 2), power(A, X, L).permute(2, 0, 1)
