"""The state-space forecaster: normalisation, stack and head, and its forecast at any interval."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.data.windows import Batch
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.models.adjusted import Adjustment, plus
from forecaster.models.base import Distribution, Shape, masked_mean, with_label
from forecaster.models.legacy_weights import load_legacy_names
from forecaster.models.prior import PointForecaster
from forecaster.models.state_space.config import StateSpaceConfig
from forecaster.models.state_space.heads import make_head
from forecaster.models.state_space.stack import Stack
from forecaster.models.state_space.streaming import Memory, RecurrentState
from forecaster.networks import running_norm
from forecaster.networks.norms import WindowScale, window_scale


@register("forecaster", StateSpaceConfig)
class StateSpace(PointForecaster):
    """Normalised values and their mask → stack → the head, at the last position.

    ``rate``: the sampling interval in units of the training data's.
    """

    distribution: Distribution = "none"

    def __init__(self, config: StateSpaceConfig, shape: Shape) -> None:
        super().__init__()
        self.config, self.label, self.horizon, self.rate = config, shape.label, shape.horizon, 1.0
        self.head = make_head(config)
        self.distribution, self.centre = self.head.distribution, self.head.centre
        self.decay = math.exp(-1 / (config.memory * shape.lookback))
        self.stack = Stack(config, shape.channels)
        outputs = self.head.size * (shape.label + shape.horizon)
        self.out = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, (shape.channels if config.mix else 1) * outputs),
        )
        self.adjustment = Adjustment(shape)
        load_legacy_names(self, {"embed": "stack.embed", "blocks": "stack.blocks"})

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The head's mean error over label and horizon."""
        target, mask = with_label(batch, self.label)
        parameters, effects = self._head_parameters(batch)
        errors = self.head.errors(parameters, target if effects is None else target - effects)
        return masked_mean(errors, mask[:, None].expand_as(errors))

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        parameters, effects = self._head_parameters(batch)
        return plus(self.head.predict(parameters), effects)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The forecast: at once, or autoregressively at another sampling interval."""
        if self.rate == 1:
            return super().predict(batch)
        return self.roll(self.read(batch.past, batch.past_mask))

    def quantiles(self, batch: Batch, levels: Sequence[float]) -> Float[Tensor, "B Q K H"]:
        parameters, effects = self._head_parameters(batch)
        return plus(self.head.quantiles(parameters, levels), effects)

    def sample(self, batch: Batch, draws: Draws) -> Float[Tensor, "B S K H"]:
        parameters, effects = self._head_parameters(batch)
        return plus(self.head.sample(parameters, draws), effects)

    def _head_parameters(
        self, batch: Batch
    ) -> tuple[Float[Tensor, "B P K M"], Float[Tensor, "B K M"] | None]:
        """Those of the series without the effects of covariates, and these."""
        adjusted, effects = self.adjustment(batch)
        z, window = self._normalise(adjusted)
        return self.emit(self.stack(z, batch.past_mask, self.rate), window), effects

    def _normalise(self, batch: Batch) -> tuple[Float[Tensor, "B K L"], WindowScale]:
        """The normalised history, and level and scale at its end."""
        past, mask = batch.past, batch.past_mask
        if self.config.norm == "standard":
            window = window_scale(past, mask, self.config.norm)
            return window.apply(past), window
        moments = running_norm.run(past, mask, self.decay**self.rate, running_norm.at_rest(past))
        level, scale = running_norm.level_scale(moments, past)
        return (past - level) / scale, WindowScale(level[..., -1:], scale[..., -1:])

    def emit(self, features: Float[Tensor, "N W"], window: WindowScale) -> Float[Tensor, "B P K M"]:
        """The head's P parameters for each channel and step, in z-scores."""
        raw = self.out(features).view(*window.level.shape[:2], self.head.size, -1)  # (B, K, P, M)
        return self.head.invert(raw.transpose(1, 2), window)

    def stream(self, batch: Batch) -> RecurrentState:
        self.check_causal("--stream")
        adjusted, _ = self.adjustment(batch)
        return RecurrentState(self, self.read(adjusted.past, adjusted.past_mask))

    def resample(self, rate: int) -> None:
        """Δ' = rate·Δ in every layer, and the normalisation's time constant over ``rate``."""
        self.check_causal("--resample-rate")
        if self.adjustment.active:
            raise UserError(
                "--resample-rate: the model reads covariates, which this is not made for; leave it "
                "out, or train without them"
            )
        if self.config.layer == "delta":
            raise UserError(
                "--resample-rate: the delta rule has no step size; train a state-space model, such "
                "as s4d"
            )
        if rate > self.horizon:
            raise UserError(
                f"--resample-rate {rate}: more than the horizon of {self.horizon} steps; give a "
                "smaller one"
            )
        # later blocks are conditioned on a point forecast, which has no distribution
        self.rate, self.distribution, self.centre = float(rate), "none", "mean"

    def check_causal(self, option: str) -> None:
        """Raise UserError, on the option, if it needs more than the values so far."""
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
        """The memory after further rows, from ``memory`` or from rest."""
        start = running_norm.at_rest(past) if memory is None else memory.moments
        moments = running_norm.run(past, mask, self.decay**self.rate, start)
        level, scale = running_norm.level_scale(moments, past)
        before = None if memory is None else memory.states
        features, states = self.stack.run((past - level) / scale, mask, before, self.rate)
        return Memory(states, features, moments[..., -1])

    def update(
        self, values: Float[Tensor, "B K"], mask: Float[Tensor, "B K"], memory: Memory
    ) -> Memory:
        """The memory after one more row."""
        moments = running_norm.step(values, mask, self.decay**self.rate, memory.moments)
        level, scale = running_norm.level_scale(moments, values)
        z = (values - level) / scale
        features, states = self.stack.step(z, mask, memory.states, self.rate)
        return Memory(states, features, moments)

    def roll(self, memory: Memory) -> Float[Tensor, "B K H"]:
        """The next H rows, block by block, each conditioned on the forecast rows before it.

        The head's steps are those of the training data, so a row is every ``rate``-th of them.
        """
        rows: list[Tensor] = []
        stride = int(self.rate)
        while sum(block.shape[2] for block in rows) < self.horizon:
            if rows:
                memory = self.read(rows[-1], torch.ones_like(rows[-1]), memory)
            path = self.head.predict(self.emit(memory.features, memory.window_scale))
            rows.append(path[..., self.label + stride - 1 :: stride])
        return torch.cat(rows, dim=2)[..., : self.horizon]
