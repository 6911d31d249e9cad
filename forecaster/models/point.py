"""What trained point forecasters share: a window normalisation and an error to train on."""

from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.models.base import Loss, masked_mean, path_errors, with_label
from forecaster.models.prior import PointForecaster
from forecaster.networks.norms import Norm, frame


class NormalisedForecaster(PointForecaster):
    """A point forecast made inside a window normalisation."""

    def __init__(self, norm: Norm, error: Loss, label: int) -> None:
        super().__init__()
        self.norm, self.error, self.label = norm, error, label

    def outlook(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        """Label and horizon from the history, both in the window's own units; a missing value is 0
        there.
        """
        raise NotImplementedError

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        window = frame(batch.past, batch.past_mask, self.norm)
        return window.invert(self.outlook(window.apply(batch.past) * batch.past_mask))

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """L1 or squared error over label and horizon."""
        target, mask = with_label(batch, self.label)
        return masked_mean(path_errors(self.error, self.predict_with_label(batch), target), mask)
