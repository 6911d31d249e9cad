"""Deep state-space forecasters (Gu et al., 2021 and 2022; Smith et al., 2023; Yu et al., 2024):
read once, then stream.

Nothing but the last position of the stack reaches the head, and everything before it is causal.
What has been read is thus a state of fixed size: one more row costs one step of every layer.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor, nn

from forecaster.config.model_config import StateSpaceConfig
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models.base import (
    Distribution,
    Draws,
    Forecaster,
    StreamingState,
    masked_mean,
    with_label,
)
from forecaster.models.heads import make_head
from forecaster.networks import running
from forecaster.networks.norms import Frame, frame
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
    """x + mix(GELU(layer(norm(x)))), each position mixed by itself."""

    layer: Layer

    def __init__(self, config: StateSpaceConfig) -> None:
        super().__init__()
        steps = {"dt_min": config.dt_min, "dt_max": config.dt_max}
        self.norm, self.drop = nn.LayerNorm(config.width), nn.Dropout(config.dropout)
        self.layer = _LAYERS[config.layer](config.width, config.state, **steps)
        self.mix = nn.Linear(config.width, config.width)

    def _add(self, x: Tensor, y: Tensor) -> Tensor:
        return x + self.drop(self.mix(F.gelu(y)))

    def forward(
        self, x: Float[Tensor, "N L W"], rate: float, last: bool
    ) -> Float[Tensor, "N *n W"]:
        """From rest, by convolution; ``last``: the last position alone."""
        u = self.norm(x).transpose(1, 2).to(self.norm.weight.dtype)
        with torch.autocast(
            u.device.type, enabled=False
        ):  # its kernel is complex, which half precision is not
            y = self.layer(u, rate)
        return self._add(x[:, -1], y[..., -1]) if last else self._add(x, y.transpose(1, 2))

    def run(
        self, x: Float[Tensor, "N L W"], state: Tensor | None, rate: float
    ) -> tuple[Float[Tensor, "N L W"], Tensor]:
        """From ``state``, and the state after the last position."""
        y, state = self.layer.run(self.norm(x).transpose(1, 2), state, rate)
        return self._add(x, y.transpose(1, 2)), state

    def step(
        self, x: Float[Tensor, "N W"], state: Tensor, rate: float
    ) -> tuple[Float[Tensor, "N W"], Tensor]:
        """One position."""
        y, state = self.layer.step(self.norm(x), state, rate)
        return self._add(x, y), state


@dataclass(frozen=True)
class Memory:
    """All that is kept of B histories: the layers' states, the last position's features, and the
    running moments.
    """

    states: tuple[Tensor, ...]
    features: Float[Tensor, "N W"]
    moments: Float64[Tensor, "3 B K"]

    @property
    def frame(self) -> Frame:
        """Level and scale at the last position."""
        return Frame(
            *(each[..., None] for each in running.level_scale(self.moments, self.features))
        )


class StateSpace(Forecaster):
    """Normalised values and their mask → ``width`` features a position → blocks → the head, at the
    last position.

    Channels share the model (N = B·K sequences), or enter together (N = B). ``rate``: how many of
    the training's intervals lie between two rows.
    """

    def __init__(
        self, config: StateSpaceConfig, channels: int, lookback: int, horizon: int, label: int = 0
    ) -> None:
        super().__init__()
        if config.dt_min > config.dt_max:
            raise UserError("model.dt_min: more than model.dt_max; correct them")
        self.config, self.label, self.horizon, self.rate = config, label, horizon, 1.0
        self.head = make_head(config)
        self.distribution: Distribution = self.head.distribution
        self.decay = math.exp(-1 / (config.memory * lookback))
        together = channels if config.mix else 1
        self.embed = nn.Linear(2 * together, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.out = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, together * self.head.size * (label + horizon)),
        )

    def resample(self, rate: int) -> None:
        """Δ' = rate·Δ in every layer; the normalisation's time constant is so many times fewer
        rows.
        """
        self._check_causal("--resample-rate")
        if rate > self.horizon:
            raise UserError(
                f"--resample-rate {rate}: more than the horizon of {self.horizon} steps; give a "
                "smaller one"
            )
        # what lies beyond the head's reach follows from a path, which has no distribution
        self.rate, self.distribution = float(rate), "none"

    def stream(
        self, past: Float[Tensor, "B K L"], past_mask: Float[Tensor, "B K L"]
    ) -> "Streaming":
        """This model after a history."""
        self._check_causal("--stream")
        return Streaming(self, self.read(past, past_mask))

    def _check_causal(self, option: str) -> None:
        if self.config.norm != "running":
            raise UserError(
                f"{option}: norm {self.config.norm} needs the whole window; train with --set "
                "model.norm=running"
            )

    def read(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        memory: Memory | None = None,
    ) -> Memory:
        """Read on from ``memory``, or from rest, any number of rows at once."""
        start = running.at_rest(past) if memory is None else memory.moments
        moments = running.run(past, mask, self.decay**self.rate, start)
        level, scale = running.level_scale(moments, past)
        x, states = self._enter((past - level) / scale, mask), []
        for number, block in enumerate(self._stack()):
            x, state = block.run(x, None if memory is None else memory.states[number], self.rate)
            states.append(state)
        return Memory(tuple(states), x[:, -1], moments[..., -1])

    def update(
        self, values: Float[Tensor, "B K"], mask: Float[Tensor, "B K"], memory: Memory
    ) -> Memory:
        """One more row, in time and memory that do not depend on how many there were."""
        moments = running.step(values, mask, self.decay**self.rate, memory.moments)
        level, scale = running.level_scale(moments, values)
        x, states = self._enter(((values - level) / scale)[..., None], mask[..., None])[:, 0], []
        for block, state in zip(self._stack(), memory.states, strict=True):
            x, state = block.step(x, state, self.rate)
            states.append(state)
        return Memory(tuple(states), x, moments)

    def _encode(self, batch: Batch) -> tuple[Float[Tensor, "N W"], Frame]:
        """What ``read`` keeps for the head, by the layers' training path, which keeps no states."""
        past, mask = batch.past, batch.past_mask
        if self.config.norm == "running":
            moments = running.run(past, mask, self.decay**self.rate, running.at_rest(past))
            level, scale = running.level_scale(moments, past)
            window, z = Frame(level[..., -1:], scale[..., -1:]), (past - level) / scale
        else:
            window = frame(past, mask, self.config.norm)
            z = window.apply(past)
        x = self._enter(z, mask)
        for block in self._stack():
            x = block(x, self.rate, block is self.blocks[-1])
        return x, window

    def _stack(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def _enter(
        self, z: Float[Tensor, "B K L"], mask: Float[Tensor, "B K L"]
    ) -> Float[Tensor, "N L W"]:
        """A missing value is 0, and its mask says so."""
        both = torch.stack([z * mask, mask], dim=-1)  # (B, K, L, 2)
        features = both.transpose(1, 2).flatten(2) if self.config.mix else both.flatten(0, 1)
        embedded: Tensor = self.embed(features)
        return embedded

    def emit(self, features: Float[Tensor, "N W"], window: Frame) -> Float[Tensor, "B P K M"]:
        """The head's numbers, P for each channel, label and horizon step, in z-scores."""
        raw = self.out(features).view(*window.level.shape[:2], self.head.size, -1)  # (B, K, P, M)
        return self.head.invert(raw.transpose(1, 2), window)

    def _numbers(self, batch: Batch) -> Float[Tensor, "B P K M"]:
        return self.emit(*self._encode(batch))

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The head's, over label and horizon."""
        target, mask = with_label(batch, self.label)
        errors = self.head.errors(self._numbers(batch), target)
        return masked_mean(errors, mask[:, None].expand_as(errors))

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """Label and horizon, in z-scores."""
        return self.head.predict(self._numbers(batch))

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The H rows after the history: at once, or block after block at another sampling
        interval.
        """
        if self.rate == 1:
            return self.predict_with_label(batch)[..., self.label :]
        return self.roll(self.read(batch.past, batch.past_mask))

    def roll(self, memory: Memory) -> Float[Tensor, "B K H"]:
        """H rows at ``rate``: the head's steps are the training's, so every rate-th is a row; those
        are read, and so on.
        """
        found: list[Tensor] = []
        stride = int(self.rate)
        while sum(block.shape[2] for block in found) < self.horizon:
            if found:
                memory = self.read(found[-1], torch.ones_like(found[-1]), memory)
            path = self.head.predict(self.emit(memory.features, memory.frame))
            found.append(path[..., self.label + stride - 1 :: stride])
        return torch.cat(found, dim=2)[..., : self.horizon]

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """Any levels between the lowest and the highest trained one, interpolated linearly."""
        return self.head.quantiles(self._numbers(batch), levels)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """Draws from the marginals, independent in time and channel."""
        return self.head.sample(self._numbers(batch), draws)


class Streaming(StreamingState):
    """A state-space model and its memory."""

    def __init__(self, model: StateSpace, memory: Memory) -> None:
        super().__init__()
        self.model, self.memory, self.distribution = model, memory, model.distribution

    def update(self, values: Float[Tensor, "B K"], mask: Float[Tensor, "B K"]) -> None:
        """Read one more row."""
        self.memory = self.model.update(values, mask, self.memory)

    def _numbers(self) -> Tensor:
        return self.model.emit(self.memory.features, self.memory.frame)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The H rows after what has been read."""
        return self.model.roll(self.memory)

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        """The model's."""
        return self.model.head.quantiles(self._numbers(), levels)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        """The model's."""
        return self.model.head.sample(self._numbers(), draws)
