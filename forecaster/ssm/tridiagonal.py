"""Tridiagonal matrices: product and solve in O(N), batched over systems.

symbol   code    place
l_n      lower   T[n+1, n]
d_n      diag    T[n, n]
u_n      upper   T[n, n+1]
"""

import torch
from jaxtyping import Float
from torch import Tensor


def multiply(
    lower: Float[Tensor, "*b N1"],
    diag: Float[Tensor, "*b N"],
    upper: Float[Tensor, "*b N1"],
    v: Float[Tensor, "*c N"],
) -> Float[Tensor, "*c N"]:
    """T v."""
    pad = torch.nn.functional.pad
    return diag * v + pad(lower * v[..., :-1], (1, 0)) + pad(upper * v[..., 1:], (0, 1))


def solve(
    lower: Float[Tensor, "*b N1"],
    diag: Float[Tensor, "*b N"],
    upper: Float[Tensor, "*b N1"],
    v: Float[Tensor, "*c N"],
) -> Float[Tensor, "*c N"]:
    """T^{−1} v by elimination without pivoting (Thomas), batched over systems."""
    l, d, u, right = lower.unbind(-1), diag.unbind(-1), upper.unbind(-1), v.unbind(-1)  # noqa: E741
    pivots, down = [d[0]], [right[0]]
    for n in range(1, len(d)):
        factor = l[n - 1] / pivots[-1]
        pivots.append(d[n] - factor * u[n - 1])
        down.append(right[n] - factor * down[-1])
    up = [down[-1] / pivots[-1]]
    for n in range(len(d) - 2, -1, -1):
        up.append((down[n] - u[n] * up[-1]) / pivots[n])
    return torch.stack(up[::-1], dim=-1)
