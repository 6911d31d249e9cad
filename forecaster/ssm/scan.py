"""The associative scan (Blelloch, 1990) of x_k = a_k x_{k−1} + b_k, for all k at once.

Two steps compose to one, (a, b) then (a', b') = (a'a, a'b + b'): the odd positions of a sequence
form a sequence of half the length. Depth log₂ L, work and memory O(L) for each mode.
"""

import torch
from jaxtyping import Inexact
from torch import Tensor


def scan(a: Inexact[Tensor, "m L"], b: Inexact[Tensor, "B m L"]) -> Inexact[Tensor, "B m L"]:
    """x_0 = b_0, x_k = a_k x_{k−1} + b_k. (An initial state x belongs in b_0, as a_0 x + b_0.)"""
    if b.shape[-1] == 1:
        return b
    pairs = b.shape[-1] // 2 * 2
    a_odd, b_odd = a[..., 1:pairs:2], b[..., 1:pairs:2]
    odd = scan(a_odd * a[..., 0:pairs:2], a_odd * b[..., 0:pairs:2] + b_odd)
    later = a[..., 2::2] * odd[..., : b[..., 2::2].shape[-1]] + b[..., 2::2]
    even = torch.cat([b[..., :1], later], dim=-1)
    if b.shape[-1] > pairs:
        woven = torch.stack([even[..., :-1], odd], dim=-1).flatten(-2)
        return torch.cat([woven, even[..., -1:]], dim=-1)
    return torch.stack([even, odd], dim=-1).flatten(-2)
