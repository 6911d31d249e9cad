"""The base of trained point forecasters: window normalisation and loss."""

from jaxtyping import Float
from torch import Tensor

from forecaster.data.windows import Batch
from forecaster.models.adjusted import Adjustment, plus
from forecaster.models.base import Loss, Shape, masked_mean, path_errors, with_label
from forecaster.models.prior import PointForecaster
from forecaster.networks.norms import Norm, window_scale


class TrainedForecaster(PointForecaster):
    """A point forecast from windows normalised by ``norm``, trained on its L1 or squared error."""

    def __init__(self, norm: Norm, error: Loss, shape: Shape) -> None:
        super().__init__()
        self.norm, self.error, self.label = norm, error, shape.label

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The mean L1 or squared error over label and horizon."""
        target, mask = with_label(batch, self.label)
        return masked_mean(path_errors(self.error, self.predict_with_label(batch), target), mask)


class NormalisedForecaster(TrainedForecaster):
    """A forecast of the normalised window, with additive effects of the covariates."""

    def __init__(self, norm: Norm, error: Loss, shape: Shape) -> None:
        super().__init__(norm, error, shape)
        self.adjustment = Adjustment(shape)

    def predict_normalised(self, past: Float[Tensor, "B K L"]) -> Float[Tensor, "B K M"]:
        """Label and horizon from the normalised history, in which missing values are 0."""
        raise NotImplementedError

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        batch, effects = self.adjustment(batch)
        window = window_scale(batch.past, batch.past_mask, self.norm)
        normalised = window.apply(batch.past) * batch.past_mask
        return plus(window.invert(self.predict_normalised(normalised)), effects)
