"""Conditions: features (B, K, S, G) of the history, inputs of a denoising network besides y_t."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.parts import base_of, register
from forecaster.config.sections import PartConfig, Positive, Section


@dataclass(frozen=True)
class ConditionShape:
    """Sizes of a condition: ``lookback`` L and the ``length`` M of the path."""

    lookback: int
    length: int


@base_of("condition")
class Condition(nn.Module):
    """Maps a history to ``features`` G at ``length`` S positions, the last M of them the path's.

    Built from its settings and a ``ConditionShape``. ``holds_history``: further positions hold the
    history itself. ``needs_future``: in training y_0 is an input.
    """

    features: int
    length: int
    holds_history = False
    needs_future = False

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        """``past`` is 0 where ``mask`` is; ``y_0`` is the truth in training, else None."""
        raise NotImplementedError


class EncodedConfig(PartConfig):
    """E(x): a linear layer from lookback to path length, shared by the channels (S²DBM)."""

    name: Literal["linear"] = "linear"


@register("condition", EncodedConfig)
class Encoded(Condition):
    """E(x) as the only feature: G = 1, S = M."""

    features = 1

    def __init__(self, config: Section, shape: ConditionShape) -> None:
        super().__init__()
        self.layer, self.length = nn.Linear(shape.lookback, shape.length), shape.length

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        encoded: Tensor = self.layer(past)
        return encoded[..., None]


class MixupConfig(PartConfig):
    """E(x), mixed elementwise with the true future in training (TimeDiff's future mixup)."""

    name: Literal["mixup"] = "mixup"


@register("condition", MixupConfig)
class Mixup(Encoded):
    """In training m·E(x) + (1 − m)·y_0 with m ~ U[0, 1), elementwise; E(x) in forecasting."""

    needs_future = True

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        encoded: Tensor = self.layer(past)
        if self.training and y_0 is not None:
            m = torch.rand_like(encoded)
            encoded = m * encoded + (1 - m) * y_0
        return encoded[..., None]


class HistoryConfig(PartConfig):
    """The last ``steps`` values of the history and their mask, before the path (CSDI)."""

    name: Literal["history"] = "history"
    steps: Positive = 96


@register("condition", HistoryConfig)
class History(Condition):
    """History and mask at positions before the path; G = 2, S = steps + M."""

    features = 2
    holds_history = True

    def __init__(self, config: HistoryConfig, shape: ConditionShape) -> None:
        super().__init__()
        self.steps = min(config.steps, shape.lookback)
        self.length = self.steps + shape.length

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        both = torch.stack([past, mask], dim=3)[:, :, -self.steps :]
        return F.pad(both, (0, 0, 0, self.length - self.steps))


class CovariateInputs(nn.Module):
    """Covariates as features at the last ``length`` S steps of history and future.

    Known ones are those of each step, static ones the same at all; past ones have a linear map from
    lookback to S that they share.
    """

    def __init__(self, lookback: int, length: int, known: int, past: int, static: int) -> None:
        super().__init__()
        self.length, self.features = length, known + past + static
        self.over_time = nn.Linear(lookback, length) if past else None

    def forward(
        self,
        known: Float[Tensor, "B C T"],
        past: Float[Tensor, "B P L"],
        static: Float[Tensor, "B D"],
    ) -> Float[Tensor, "B S G"]:
        at_steps = [known[..., -self.length :], static[..., None].expand(-1, -1, self.length)]
        at_steps += [] if self.over_time is None else [self.over_time(past)]
        return torch.cat(at_steps, dim=1).transpose(1, 2)


class Nothing(Condition):
    """No condition, G = 0: the network depends on the history through the prior only."""

    features = 0

    def __init__(self, shape: ConditionShape) -> None:
        super().__init__()
        self.length = shape.length

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        return past.new_zeros(*past.shape[:2], self.length, 0)
