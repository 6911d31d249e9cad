"""What a denoising network is given of the history: features (B, K, S, G) that stand beside y_t in
its input.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import PartConfig, Positive, Section


@dataclass(frozen=True)
class ConditionShape:
    """What a condition is built for: ``lookback`` L and the ``length`` M of the path."""

    lookback: int
    length: int


class Condition(nn.Module):
    """From a history to ``features`` G at each of ``length`` S positions, the path's own last.

    Built from its settings and a ``ConditionShape``. ``holds_history``: the history itself stands
    at further positions. ``needs_future``: in training it is shown the truth.
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
        """``past`` is 0 where the mask is; ``y_0`` is the truth while training, else None."""
        raise NotImplementedError


class EncodedConfig(PartConfig):
    """E(x): one linear layer from the lookback to the path's length, shared by the channels
    (S²DBM).
    """

    name: Literal["linear"] = "linear"


@register("condition", EncodedConfig)
class Encoded(Condition):
    """G = 1, S = M."""

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
            share = torch.rand_like(encoded)
            encoded = share * encoded + (1 - share) * y_0
        return encoded[..., None]


class HistoryConfig(PartConfig):
    """The last ``steps`` values of the history stand in the network's input before the path, with
    their mask (CSDI).
    """

    name: Literal["history"] = "history"
    steps: Positive = 96


@register("condition", HistoryConfig)
class History(Condition):
    """The history and its mask before the path's own positions; G = 2, S = steps + M."""

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


class Nothing(Condition):
    """No condition, G = 0: the history speaks through the prior alone."""

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
