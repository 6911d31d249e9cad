"""What point forecasters share: a window normalisation, an outlook inside it, an error to train on;
and their average.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.model_config import Loss, Norm
from forecaster.data.windows import Batch
from forecaster.models.base import Forecaster, masked_mean, path_errors, with_label
from forecaster.networks.norms import frame


class PointModel(Forecaster):
    """A forecaster of one path. ``label``: P, the steps of the history it gives too, 0 but for a
    bridge's prior.
    """

    def __init__(self, norm: Norm, error: Loss, label: int) -> None:
        super().__init__()
        self.norm, self.error, self.label = norm, error, label

    def outlook(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        """Label and horizon from the history, both in the window's own units; a missing value is 0
        there.
        """
        raise NotImplementedError

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """Label and horizon, in z-scores."""
        window = frame(batch.past, batch.past_mask, self.norm)
        return window.invert(self.outlook(window.apply(batch.past) * batch.past_mask))

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """L1 or squared error over label and horizon."""
        target, mask = with_label(batch, self.label)
        return masked_mean(path_errors(self.error, self.predict_with_label(batch), target), mask)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The H values after the history."""
        return self.predict_with_label(batch)[..., self.label :]


class Average(Forecaster):
    """The plain average of several forecasters, each trained by itself."""

    def __init__(self, members: Sequence[Forecaster]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def stages(self) -> list[Forecaster]:
        """The members."""
        return [member for member in self.members if isinstance(member, Forecaster)]

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """The mean absolute error of the average; nothing of its own is trained."""
        return masked_mean((self.predict(batch) - batch.future).abs(), batch.future_mask)

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        """Label and horizon, in z-scores."""
        return sum(
            (member.predict_with_label(batch) for member in self.stages()), torch.zeros(())
        ) / len(self.members)

    def predict(self, batch: Batch, steps: int | None = None) -> Float[Tensor, "B K H"]:
        """The H values after the history."""
        return self.predict_with_label(batch)[..., -batch.future.shape[2] :]
