"""The causal convolution of a kernel with a sequence, by FFT."""

import torch
from jaxtyping import Float
from torch import Tensor


def convolve(K: Float[Tensor, "H M L"], u: Float[Tensor, "B H L"]) -> Float[Tensor, "B H M L"]:
    """y_k = Σ_{l ≤ k} K_l u_{k−l}, zero-padded to 2L against circular wrap-around; O(L log L)."""
    n = 2 * u.shape[-1]
    product = torch.fft.rfft(K, n=n) * torch.fft.rfft(u, n=n)[:, :, None]
    return torch.fft.irfft(product, n=n)[..., : u.shape[-1]]
