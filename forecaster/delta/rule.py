"""The delta rule, one step at a time or a chunk of steps at once.

Yang et al., *Parallelizing Linear Transformers with the Delta Rule*, 2024; *Gated Delta Networks*,
2025. Siems et al., *DeltaProduct*, 2025.

symbol  code       in
S       S          S_i = α_i S_{i−1}(I − β_i k_i k_iᵀ) + β_i v_i k_iᵀ, |k_i| = 1; o = S q
α       log_alpha  the decay before a token's first step; its other steps have α = 1
γ_i     —          Π α_j of the chunk's steps j ≤ i
Γ       decay      Γ_ij = γ_i/γ_j for j ≤ i, else 0: at most 1, so nothing overflows
E       errors     S_i = γ_i S_0 + Σ_{j≤i} Γ_ij e_j k_jᵀ,  (I + A)E = diag(β)(V − diag(γ)K S_0ᵀ)
A       A          strictLower(diag(β)(Γ ∘ K Kᵀ))
U, W    U, W       (I + A)^{−1} diag(β)V and (I + A)^{−1} diag(βγ)K, the WY representation, so that
                   E = U − W S_0ᵀ

A token takes n steps, each with its own k, v and β, and is read after the last.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

CHUNK = 16  # tokens


def step(
    q: Float[Tensor, "B N"],
    k: Float[Tensor, "B n N"],
    v: Float[Tensor, "B n D"],
    beta: Float[Tensor, "B n"],
    log_alpha: Float[Tensor, " B"],
    S: Float[Tensor, "B D N"],
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D N"]]:
    """One token: what is read, and the state after it, in O(nDN)."""
    S = log_alpha.exp()[:, None, None] * S
    for i in range(k.shape[1]):
        error = beta[:, i, None] * (v[:, i] - torch.einsum("bdn,bn->bd", S, k[:, i]))
        S = S + error[:, :, None] * k[:, i, None]
    return torch.einsum("bdn,bn->bd", S, q), S


def chunked(
    q: Float[Tensor, "B L N"],
    k: Float[Tensor, "B L n N"],
    v: Float[Tensor, "B L n D"],
    beta: Float[Tensor, "B L n"],
    log_alpha: Float[Tensor, "B L"],
    S: Float[Tensor, "B D N"],
    chunk: int = CHUNK,
) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B D N"]]:
    """What ``step`` gives for L tokens, and the state after them; O(nL·nC·(N + D) + nL·ND)."""
    length, n = k.shape[1:3]
    first = F.pad(log_alpha[..., None], (0, n - 1))  # (B, L, n)
    q, k, v, beta, first = (_cut(each, chunk) for each in (q, k, v, beta, first))
    k, v, beta, log_gamma = k.flatten(2, 3), v.flatten(2, 3), beta.flatten(2), first.flatten(2)
    log_gamma = log_gamma.cumsum(-1)  # (B, chunks, nC)
    later = torch.ones_like(log_gamma[0, 0]).diag_embed().cumsum(-1).triu(1) > 0
    decay = (log_gamma[..., None] - log_gamma[..., None, :]).masked_fill(later, -torch.inf).exp()
    gamma, ends = log_gamma.exp()[..., None], slice(n - 1, None, n)
    # the solver takes the diagonal for 1, and does not read above it
    A = beta[..., None] * decay * (k @ k.mT)
    right = beta[..., None] * torch.cat([v, gamma * k], dim=-1)
    solved = torch.linalg.solve_triangular(A, right, upper=False, unitriangular=True)
    U, W = solved.split([v.shape[-1], k.shape[-1]], dim=-1)
    within, across = decay[:, :, ends] * (q @ k.mT), gamma[:, :, ends] * q
    left = decay[:, :, -1, :, None] * k  # what of each step is left at the chunk's end
    outputs, parts = [], (U, W, within, across, left, gamma[:, :, -1:])
    # unbound, as the gradient of a slice is as large as the whole
    for u, w, inner, outer, remaining, kept in zip(*(x.unbind(1) for x in parts), strict=True):
        errors = u - w @ S.mT
        outputs.append(outer @ S.mT + inner @ errors)
        S = kept * S + errors.mT @ remaining
    return torch.cat(outputs, dim=1)[:, :length], S


def _cut(x: Float[Tensor, "B L *rest"], chunk: int) -> Float[Tensor, "B chunks C *rest"]:
    """Chunks of tokens; the last is filled up with tokens of zeros, which change nothing."""
    ahead = (0, 0) * (x.ndim - 2)
    return F.pad(x, (*ahead, 0, -x.shape[1] % chunk)).unflatten(1, (-1, chunk))
