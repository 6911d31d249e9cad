"""Slow and plain twins of the state-space layers: dense matrices, inverses and a walk along the
sequence.
"""

import torch
from torch import Tensor, nn

from forecaster.ssm.diagonal import S4D
from forecaster.ssm.discretise import expm
from forecaster.ssm.lssl import LSSL
from forecaster.ssm.modes import unpair
from forecaster.ssm.quasiseparable import Quasiseparable
from forecaster.ssm.s4 import S4
from forecaster.ssm.s5 import S5

LAYERS = {
    "lssl": lambda H, N: LSSL(H, N, outputs=2),
    "lssl-legt-backward": lambda H, N: LSSL(H, N, alpha=1.0, measure="legt"),
    "lssl-lagt": lambda H, N: LSSL(H, N, alpha=0.7, measure="lagt"),
    "lssl-fixed": lambda H, N: LSSL(H, N, outputs=3, trainable=False),
    "s4": S4,
    "s4d-legs": S4D,
    "s4d-lin": lambda H, N: S4D(H, N, "lin"),
    "s4d-inv": lambda H, N: S4D(H, N, "inv"),
    "s4-ptd": lambda H, N: S4D(H, N, "ptd"),
    "s5": S5,
    "s5-ptd": lambda H, N: S5(H, N, "ptd"),
}


def make(name: str, H: int, N: int, seed: int = 0) -> nn.Module:
    """A layer in float64, away from its start, so that nothing holds only there."""
    torch.manual_seed(seed)
    layer = LAYERS[name](H, N).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return layer


def random_input(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def bilinear(A: Tensor, B: Tensor, dt: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    eye = torch.eye(A.shape[-1], dtype=A.dtype)
    inverse = torch.linalg.inv(eye - alpha * dt * A)
    return inverse @ (eye + (1 - alpha) * dt * A), inverse @ (dt * B)


def hold(A: Tensor, B: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
    N = len(A)
    both = expm(torch.nn.functional.pad(dt * torch.cat([A, B], dim=1), (0, 0, 0, B.shape[1])))
    return both[:N, :N], both[:N, N:]


def both(z: Tensor, dim: int = -1) -> Tensor:
    """The modes and their conjugates."""
    return torch.cat([z, z.conj()], dim=dim)


def structured(A: Quasiseparable) -> Tensor:
    """P(D + T^{−1})Q with a dense inverse, (H, N, N)."""
    P, Q, D, (lower, diag, upper) = A.parts()
    T = torch.diag_embed(diag) + torch.diag_embed(lower, -1) + torch.diag_embed(upper, 1)
    return torch.diag_embed(P) @ (torch.diag_embed(D) + torch.linalg.inv(T)) @ torch.diag_embed(Q)


def dense_lssl(layer: LSSL, rate: float) -> list[tuple[Tensor, ...]]:
    dynamics = getattr(layer.dynamics, "dynamics", layer.dynamics)
    systems = []
    for h, dt in enumerate(rate * dynamics.dt.log_dt.exp()):
        systems.append(
            (
                *bilinear(structured(dynamics.A)[h], dynamics.B[h, :, None], dt, dynamics.alpha),
                layer.C[h],
                layer.D[h, :, None],
            )
        )
    return systems


def dense_s4(layer: S4, rate: float) -> list[tuple[Tensor, ...]]:
    lam, P, B, C = (
        both(z) for z in (layer.eigenvalues(), unpair(layer.P), unpair(layer.B), unpair(layer.C))
    )
    systems = []
    for h, dt in enumerate(rate * layer.dt.log_dt.exp()):
        A = torch.diag(lam[h]) - torch.outer(P[h], P[h].conj())
        systems.append((*bilinear(A, B[h, :, None], dt, 0.5), C[h, None], layer.D[h].reshape(1, 1)))
    return systems


def dense_s4d(layer: S4D, rate: float) -> list[tuple[Tensor, ...]]:
    lam, B, C = (both(z) for z in (layer.eigenvalues(), unpair(layer.B), unpair(layer.C)))
    return [
        (*hold(torch.diag(lam[h]), B[h, :, None], dt), C[h, None], layer.D[h].reshape(1, 1))
        for h, dt in enumerate(rate * layer.dt.log_dt.exp())
    ]


def dense_s5(layer: S5, rate: float) -> list[tuple[Tensor, ...]]:
    lam, dt = both(layer.eigenvalues()), (rate * layer.dt.log_dt.exp()).repeat(2)
    A, B = hold(torch.diag(lam * dt), dt[:, None] * both(unpair(layer.B), 0), torch.ones(()))
    return [(A, B, both(unpair(layer.C)), torch.diag(layer.D))]


def dense(layer: nn.Module, rate: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(Ā, B̄, C, D) of the whole layer as one system with H inputs and H·M outputs."""
    kinds = {LSSL: dense_lssl, S4: dense_s4, S4D: dense_s4d, S5: dense_s5}
    systems = kinds[type(layer)](layer, rate)
    A, B, C, D = (torch.block_diag(*parts) for parts in zip(*systems, strict=True))
    return A, B, C, D


def walk(layer: nn.Module, u: Tensor, rate: float = 1.0) -> Tensor:
    """The output for u (B, H, L), from rest, one dense step at a time."""
    A, B, C, D = dense(layer, rate)
    x = torch.zeros(A.shape[0], len(u), dtype=A.dtype)
    outputs = []
    for u_k in u.unbind(-1):
        x = A @ x + B @ u_k.T.to(B.dtype)
        outputs.append((C @ x).real.T + u_k @ D.T)
    return torch.stack(outputs, dim=-1)


def steps(layer: nn.Module, u: Tensor, state: Tensor, rate: float = 1.0) -> tuple[Tensor, Tensor]:
    """``layer.step`` over all of u."""
    outputs = []
    for u_k in u.unbind(-1):
        y, state = layer.step(u_k, state, rate)
        outputs.append(y)
    return torch.stack(outputs, dim=-1), state
