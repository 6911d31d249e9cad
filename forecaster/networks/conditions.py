"""What a denoising network is given of the history: features (B, K, S, G) that stand beside y_t in
its input.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.model_config import EncodedConfig, HistoryConfig, MixupConfig
from forecaster.errors import UserError


class Encoded(nn.Module):
    """E(x): one linear layer L → M, shared by the channels; G = 1, S = M (S²DBM)."""

    features = 1

    def __init__(self, lookback: int, length: int) -> None:
        super().__init__()
        self.layer, self.length = nn.Linear(lookback, length), length

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        """``past`` is 0 where the mask is; ``y_0`` is the truth while training, else None."""
        encoded: Tensor = self.layer(past)
        return encoded[..., None]


class Mixup(Encoded):
    """E(x), while training mixed elementwise with the truth: m·E(x) + (1 − m)·y_0, m ~ U[0, 1)
    (TimeDiff).
    """

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        """As ``Encoded``; the truth is looked at in training only."""
        encoded: Tensor = self.layer(past)
        if self.training and y_0 is not None:
            share = torch.rand_like(encoded)
            encoded = share * encoded + (1 - share) * y_0
        return encoded[..., None]


class History(nn.Module):
    """The last values of the history and their mask, before the path's own positions; G = 2, S =
    steps + M (CSDI).
    """

    features = 2

    def __init__(self, steps: int, length: int) -> None:
        super().__init__()
        self.steps, self.length = steps, steps + length

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        """As ``Encoded``."""
        both = torch.stack([past, mask], dim=3)[:, :, -self.steps :]
        return F.pad(both, (0, 0, 0, self.length - self.steps))


class Nothing(nn.Module):
    """No condition, G = 0: the history speaks through the prior alone."""

    features = 0

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(
        self,
        past: Float[Tensor, "B K L"],
        mask: Float[Tensor, "B K L"],
        y_0: Float[Tensor, "B K M"] | None,
    ) -> Float[Tensor, "B K S G"]:
        """As ``Encoded``."""
        return past.new_zeros(*past.shape[:2], self.length, 0)


Condition = Encoded | History | Nothing


def build_condition(
    config: EncodedConfig | HistoryConfig | MixupConfig | None,
    lookback: int,
    length: int,
    label: int,
) -> Condition:
    """The condition of a configuration; ``length``: M, of which ``label`` steps belong to the
    history.
    """
    match config:
        case None:
            return Nothing(length)
        case EncodedConfig():
            return Encoded(lookback, length)
        case MixupConfig():
            return Mixup(lookback, length)
        case HistoryConfig():
            if label:
                raise UserError(
                    "model.label: a network that is given the history itself has its label there; "
                    "set it to 0"
                )
            return History(min(config.steps, lookback), length)
