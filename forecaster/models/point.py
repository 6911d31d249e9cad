"""The base of trained point forecasters: window normalisation and loss."""

from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.models.base import Loss, masked_mean, path_errors, with_label
from forecaster.models.prior import PointForecaster
from forecaster.networks.norms import Norm, window_scale


class NormalisedForecaster(PointForecaster):
    """A point forecast of the normalised window."""

    def __init__(self, norm: Norm, error: Loss, label: int) -> None:
        super().__init__()
        self.norm, self.error, self.label = norm, error, label

    def predict_normalised(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        """Label and horizon from the normalised history, in which missing values are 0."""
        raise NotImplementedError

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        window = window_scale(batch.past, batch.past_mask, self.norm)
        return window.invert(self.predict_normalised(window.apply(batch.past) * batch.past_mask))

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The mean L1 or squared error over label and horizon."""
        target, mask = with_label(batch, self.label)
        return masked_mean(path_errors(self.error, self.predict_with_label(batch), target), mask)
