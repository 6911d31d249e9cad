"""Local statistical models of statsforecast, fitted to the history of each window by itself.

AutoETS and MSTL: exponential smoothing in the form that the corrected AIC prefers (Hyndman and
Khandakar, 2008), with one season, or after the removal of several (Bandara, Hyndman and Bergmeir,
2021). AutoTheta: the Theta method (Fiorucci et al., 2016).
"""

import warnings
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.program import install_extra
from forecaster.config.sections import PartConfig
from forecaster.data.windows import Batch
from forecaster.errors import UserError
from forecaster.models.base import Shape
from forecaster.models.prior import PointForecaster

# the longest season that exponential smoothing has states for
_LONGEST_ETS = 24
# the numbers (of histories and forecasts) that are kept, so that no window is fitted twice
_KEPT = 20_000_000


class LocalConfig(PartConfig):
    """A statistical model of each series, fitted anew to the lookback before each forecast.

    ``method``: exponential smoothing (``auto-ets``), the Theta method (``auto-theta``), or
    exponential smoothing of what is left when all seasons are taken out (``mstl``). The package is
    an extra: ``statsforecast``.
    """

    name: Literal["local"] = "local"
    method: Literal["auto-ets", "auto-theta", "mstl"] = "auto-ets"


@register("forecaster", LocalConfig)
class Local(PointForecaster):
    """The forecast of a model that is fitted to the observed history of each channel alone.

    Where the history is too short for it, or constant, the last observed value is repeated.
    """

    def __init__(self, config: LocalConfig, shape: Shape) -> None:
        super().__init__()
        if shape.label:
            raise UserError(
                "model.label: a local model gives no label; set it to 0, or take another prior"
            )
        self.config, self.horizon = config, shape.horizon
        self.seasons = shape.seasons or (shape.season,)
        self.season, self.zeros = shape.season, shape.zeros
        self._known: dict[bytes, NDArray[np.float64]] = {}
        _package(config.method)

    @property
    def fits_histories(self) -> bool:
        return True

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K H"]:
        """The forecast in z-scores, from the first observed value on; later gaps are as filled."""
        past = batch.past.detach().cpu().double().numpy() - self._offsets(batch)
        seen = (batch.observed > 0).cpu().numpy()
        found = [
            [self._forecast(values, known) for values, known in zip(*window, strict=True)]
            for window in zip(past, seen, strict=True)
        ]
        return torch.tensor(np.array(found) + self._offsets(batch)).to(batch.past)

    def _offsets(self, batch: Batch) -> Float64[np.ndarray, "B K 1"]:
        """The z-scores of 0, with which a series is in proportion to its values, as multiplicative
        seasons and trends need it; 0 for a series that is not among those of the training.
        """
        offsets = np.zeros((*batch.past.shape[:2], 1))
        numbers = batch.series.cpu().numpy()
        if self.zeros is not None:
            offsets[numbers >= 0, :, 0] = self.zeros[numbers[numbers >= 0]]
        return offsets

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """0: there is nothing to train."""
        return batch.past.new_zeros(())

    def _forecast(
        self, values: Float64[np.ndarray, " L"], known: NDArray[np.bool_]
    ) -> Float64[np.ndarray, " H"]:
        """The forecast of one channel; the same history is fitted once."""
        first = int(known.argmax()) if known.any() else len(values)
        history = values[first:]
        key = history.tobytes()
        found = self._known.get(key)
        if found is None:
            found = self._fitted(history)
            if len(self._known) * (len(values) + self.horizon) < _KEPT:
                self._known[key] = found
        return found

    def _fitted(self, history: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " H"]:
        repeated = np.full(self.horizon, history[-1] if len(history) else 0.0)
        if len(history) == 0 or np.ptp(history) == 0:
            return repeated
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = self._model(len(history)).forecast(y=history, h=self.horizon)["mean"]
            except NotImplementedError:  # its word for a history of a few values
                return repeated
        return np.where(np.isfinite(found), found, repeated)

    def _model(self, length: int) -> Any:
        """The model for a history of this length, which has to hold each season twice."""
        models = _package(self.config.method)
        seasons = [season for season in self.seasons if 1 < season <= length // 2]
        if self.config.method == "mstl" and seasons:
            return models.MSTL(season_length=seasons)
        main = self.season if self.season in seasons else 1
        if self.config.method == "auto-theta":
            return models.AutoTheta(season_length=main)
        return models.AutoETS(season_length=main if main <= _LONGEST_ETS else 1)


def _package(method: str) -> Any:
    """The package's models; UserError if it is not installed."""
    try:
        from statsforecast import models
    except ImportError as error:
        raise UserError(
            f"model: {method} needs statsforecast: {install_extra('statsforecast')}"
        ) from error
    return models
