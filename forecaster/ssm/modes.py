"""A real system in the eigenbasis of A, one mode of each conjugate pair; complex parameters.

symbol   code   in
Λ        lam    A = V Λ V^{−1}; m modes are used
V        V      x = 2 Re(V z)
V^{−1}   W      z = W x,  z' = Λ z + W B u

A real eigenvalue has no partner: its column of V and its row of V^{−1} are divided by √2, and the
same formula holds.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Complex128, Float, Float64
from torch import Tensor, nn


@dataclass(frozen=True)
class Modes:
    """Λ, V and V^{−1} of a real N × N matrix, one of each conjugate pair."""

    lam: Complex128[Tensor, " m"]
    V: Complex128[Tensor, "N m"]
    W: Complex128[Tensor, "m N"]


def one_of_each_pair(
    lam: Complex128[Tensor, " N"], V: Complex128[Tensor, "N N"], W: Complex128[Tensor, "N N"]
) -> Modes:
    """Select the eigenvalues with Im λ ≥ 0; the weight of real ones is split by √2 on V and W."""
    selected = lam.imag >= 0
    factor = torch.where(lam.imag == 0, 0.5, 1.0).to(lam.dtype).sqrt()
    return Modes(lam[selected], (V * factor)[:, selected], (W * factor[:, None])[selected])


def matrix(modes: Modes) -> Float64[Tensor, "N N"]:
    """A = 2 Re(V Λ V^{−1})."""
    return 2 * (modes.V * modes.lam @ modes.W).real


def pair(z: Complex[Tensor, "*s"]) -> nn.Parameter:
    """A complex parameter stored as real and imaginary parts (…, 2).

    So files, optimisers and ``.double()`` handle a real tensor.
    """
    return nn.Parameter(
        torch.view_as_real(z.resolve_conj()).to(torch.get_default_dtype()).contiguous()
    )


def unpair(parameter: Float[Tensor, "*s 2"]) -> Complex[Tensor, "*s"]:
    """The complex tensor that ``pair`` stored as a parameter."""
    return torch.view_as_complex(parameter)


class Eigenvalues(nn.Module):
    """Trainable Λ whose real part −e^{log decay} is negative, for any value of its parameters."""

    def __init__(self, lam: Complex128[Tensor, "*s"]) -> None:
        super().__init__()
        dtype = torch.get_default_dtype()
        self.log_decay = nn.Parameter((-lam.real).log().to(dtype))
        self.frequency = nn.Parameter(lam.imag.to(dtype).clone())

    def forward(self) -> Complex[Tensor, "*s"]:
        """The complex eigenvalues Λ."""
        return torch.complex(-self.log_decay.exp(), self.frequency)
