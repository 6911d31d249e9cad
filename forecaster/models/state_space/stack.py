"""The residual stack of causal layers: by their training path, or on from a state.

Everything in it is causal, so what has been read is a state of fixed size: one more row costs one
step of every layer.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.delta.layer import DeltaRule
from forecaster.models.state_space.config import StateSpaceConfig
from forecaster.ssm.diagonal import S4D
from forecaster.ssm.layer import Layer
from forecaster.ssm.lssl import LSSL
from forecaster.ssm.s4 import S4
from forecaster.ssm.s5 import S5

_LAYERS: dict[str, Callable[..., Any]] = {
    "lssl": LSSL,
    "lssl-fixed": partial(LSSL, trainable=False),
    "s4": S4,
    "s4d": S4D,
    "s5": S5,
    "s4-ptd": partial(S4D, start="ptd"),
    "s5-ptd": partial(S5, start="ptd"),
}


class Block(nn.Module):
    """x + mix(GELU(layer(norm(x)))), with a pointwise mix."""

    layer: Layer

    def __init__(self, config: StateSpaceConfig) -> None:
        super().__init__()
        steps = {"dt_min": config.dt_min, "dt_max": config.dt_max}
        self.norm, self.drop = nn.LayerNorm(config.width), nn.Dropout(config.dropout)
        make = _LAYERS.get(config.layer, partial(DeltaRule, options=config.delta))
        self.layer = make(config.width, config.state, **steps)
        self.mix = nn.Linear(config.width, config.width)

    def _add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + self.drop(self.mix(F.gelu(y)))

    def forward(
        self, x: Float[Tensor, "N L W"], rate: float, last: bool
    ) -> Float[Tensor, "N *n W"]:
        """From rest, as in training; ``last``: return the last position only."""
        u = self.norm(x).transpose(1, 2).to(self.norm.weight.dtype)
        # half precision has no complex type, which kernels are of, and no triangular solver
        with torch.autocast(u.device.type, enabled=False):
            y = self.layer(u, rate)
        return self._add(x[:, -1], y[..., -1]) if last else self._add(x, y.transpose(1, 2))

    def run(
        self, x: Float[Tensor, "N L W"], state: Tensor | None, rate: float
    ) -> tuple[Float[Tensor, "N L W"], Tensor]:
        """Outputs from ``state`` on, and the state after the last position."""
        y, state = self.layer.run(self.norm(x).transpose(1, 2), state, rate)
        return self._add(x, y.transpose(1, 2)), state

    def step(
        self, x: Float[Tensor, "N W"], state: Tensor, rate: float
    ) -> tuple[Float[Tensor, "N W"], Tensor]:
        """One position, recurrently."""
        y, state = self.layer.step(self.norm(x), state, rate)
        return self._add(x, y), state


class Stack(nn.Module):
    """Normalised values and their mask → ``width`` features a position → blocks.

    Channels are separate sequences (N = B·K), or, with ``mix``, one sequence (N = B). ``rate``: the
    sampling interval in units of the training data's.
    """

    def __init__(self, config: StateSpaceConfig, channels: int) -> None:
        super().__init__()
        self.mix = config.mix
        self.embed = nn.Linear(2 * (channels if config.mix else 1), config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _embed(
        self, z: Float[Tensor, "B K L"], mask: Float[Tensor, "B K L"]
    ) -> Float[Tensor, "N L W"]:
        """Embed values and mask; missing values are 0."""
        both = torch.stack([z * mask, mask], dim=-1)  # (B, K, L, 2)
        features = both.transpose(1, 2).flatten(2) if self.mix else both.flatten(0, 1)
        embedded: Tensor = self.embed(features)
        return embedded

    def forward(
        self, z: Float[Tensor, "B K L"], mask: Float[Tensor, "B K L"], rate: float
    ) -> Float[Tensor, "N W"]:
        """Features of the last position, by the training path, which stores no states."""
        x = self._embed(z, mask)
        for block in self._blocks():
            x = block(x, rate, block is self.blocks[-1])
        return x

    def run(
        self,
        z: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        states: Sequence[Tensor] | None,
        rate: float,
    ) -> tuple[Float[Tensor, "N W"], tuple[Tensor, ...]]:
        """Features and states of the last position, from ``states`` or from rest."""
        x, after = self._embed(z, mask), []
        for number, block in enumerate(self._blocks()):
            x, state = block.run(x, None if states is None else states[number], rate)
            after.append(state)
        return x[:, -1], tuple(after)

    def step(
        self,
        z: Float[Tensor, "B K"],
        mask: Float[Tensor, "B K"],
        states: Sequence[Tensor],
        rate: float,
    ) -> tuple[Float[Tensor, "N W"], tuple[Tensor, ...]]:
        """One more position, in constant time and memory."""
        x, after = self._embed(z[..., None], mask[..., None])[:, 0], []
        for block, state in zip(self._blocks(), states, strict=True):
            x, new = block.step(x, state, rate)
            after.append(new)
        return x, tuple(after)
