"""A saved model as a GluonTS predictor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from gluonts.dataset import Dataset
from gluonts.model.forecast import Forecast, QuantileForecast, SampleForecast
from gluonts.model.predictor import Predictor
from numpy.typing import NDArray

from forecaster.data.encoding import Features
from forecaster.data.intervals import step_number
from forecaster.data.splits import Scaling
from forecaster.data.tables import Table
from forecaster.data.windows import BatchCovariates
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode
from forecaster.inference.saved_model import SavedModel
from forecaster.models.base import Forecaster, empty_future
from forecaster.models.outlook import Outlook
from forecaster.models.seeds import window_seed


@dataclass(frozen=True)
class PredictionRequest:
    """Forecast options: mode, number of samples and sampling steps, quantile levels, seed."""

    mode: Mode
    samples: int = 100
    steps: int | None = None
    quantiles: tuple[float, ...] = (0.05, 0.5, 0.95)
    seed: int = 0
    batch_size: int = 16


@dataclass(frozen=True)
class Origin:
    """The end of a series' history: item, first period to forecast, scaling."""

    item_id: str | None
    start: pd.Period
    scale: Scaling


# the largest number of series that are told of one by one
FEW = 3


class SavedPredictor(Predictor):
    """A GluonTS predictor: entries with targets (K, n) or (n,) → forecasts of the next H values.

    Point mode and sampling models return a ``SampleForecast`` (one sample in point mode), quantile
    models a ``QuantileForecast``; arrays are (H, K), or (H,) for a series with one channel. Where
    the point forecast is a median, it is ``info["median"]``.
    """

    def __init__(self, saved: SavedModel, request: PredictionRequest) -> None:
        super().__init__(prediction_length=saved.config.data.horizon, lead_time=0)
        self.saved, self.request = saved, request
        self._unknown: dict[str, None] = {}
        self._numbers = {item: number for number, item in enumerate(saved.scaling)}
        self._seasons = saved.shape.seasons
        data = saved.config.data
        self._bounds = [torch.tensor(each) for each in data.limits(saved.schema.names)]

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, **kwargs: Any
    ) -> Iterator[Forecast]:
        """One forecast an entry, in their order; ``num_samples`` overrides the request's number."""
        request = (
            self.request if num_samples is None else replace(self.request, samples=num_samples)
        )
        entries, features = list(dataset), self._features(dataset)
        for begin in range(0, len(entries), request.batch_size):
            part = slice(begin, begin + request.batch_size)
            yield from self._batch(entries[part], features and features[part], request)

    def _features(self, dataset: Dataset) -> list[Features] | None:
        """The features of each series' covariates, None if the model knows none."""
        encoding = self.saved.encoding
        if encoding is None:
            return None
        if not isinstance(dataset, Table):
            raise UserError(
                "the model reads covariates, which entries without the names of columns do not "
                "give; forecast from a table or a file"
            )
        return encoding.encode(dataset, ahead=self.prediction_length)

    def _batch(
        self,
        entries: Sequence[Mapping[str, Any]],
        features: Sequence[Features] | None,
        request: PredictionRequest,
    ) -> Iterator[Forecast]:
        lookback = self.saved.config.data.lookback
        contexts, origins, scaled = [], [], []
        for number, entry in enumerate(entries):
            target = np.atleast_2d(np.asarray(entry["target"], dtype=np.float64)).T  # (n, K)
            scale = self.scaling(entry.get("item_id"), target)
            values = scale.apply(target)
            if features is not None:
                scaled.append(features[number].scaled(scale))
                values = scaled[-1].beside(values)
            contexts.append(context(values, lookback))
            origins.append(Origin(entry.get("item_id"), entry["start"] + len(target), scale))
        covariates = None
        if features is not None:
            covariates = window_features(scaled, lookback, self.prediction_length)
        histories = np.stack(contexts)
        return self.forecasts(self.saved.model, histories, origins, request, covariates)

    @torch.no_grad()
    def forecasts(
        self,
        model: Forecaster,
        histories: NDArray[np.float64],
        origins: Sequence[Origin],
        request: PredictionRequest,
        covariates: BatchCovariates | None = None,
    ) -> Iterator[Forecast]:
        """The forecasts of ``model`` from histories (B, K, L) in z-scores, nan for missing."""
        past, mask = observed(histories)
        times = torch.tensor([step_number(origin.start) for origin in origins])
        series = torch.tensor([self._numbers.get(origin.item_id or "", -1) for origin in origins])
        seasons = self._seasons
        windows = empty_future(
            past, mask, self.prediction_length, times, series, seasons, covariates
        )
        seeds = [window_seed(request.seed, origin.item_id, origin.start) for origin in origins]
        draws = Draws(request.samples, seeds, request.steps)
        if request.mode == "point":
            outlook = model.centred(windows.to(model.device), draws)
        else:
            outlook = model.outlook(windows.to(model.device), draws, request.quantiles)
        _check_finite(outlook, origins)
        restored = outlook.restored(self._restoring(origins))
        for number, origin in enumerate(origins):
            yield _forecast(restored, number, origin, request)

    def _restoring(self, origins: Sequence[Origin]) -> Callable[[torch.Tensor], torch.Tensor]:
        """From z-scores (B, …, K, H) to the file's units, within the data's bounds, in float64."""
        mean, std = (
            torch.tensor(np.stack([getattr(origin.scale, name) for origin in origins]))
            for name in ("mean", "std")
        )
        low, high = self._bounds

        def restore(values: torch.Tensor) -> torch.Tensor:
            shape = (len(origins), *[1] * (values.ndim - 3), -1, 1)
            found = values.double().cpu() * std.view(shape) + mean.view(shape)
            return found.clamp(low.double()[:, None], high.double()[:, None])

        return restore

    @property
    def decisions(self) -> list[str]:
        """What is to be told of series that were not in the training."""
        items, own = [f"'{item}'" for item in self._unknown], "scaled by its own values"
        if len(items) <= FEW:
            return [f"series {item} was not in the training: {own}" for item in items]
        shown = f"{len(items)} series ({', '.join(items[:FEW])}, …)"
        return [f"{shown} were not in the training: each is {own}"]

    def scaling(self, item_id: str | None, target: NDArray[np.float64]) -> Scaling:
        """The stored scaling of a series, or one fitted on its values (n, K) if it is unknown."""
        item = item_id or ""
        if item in self.saved.scaling:
            return self.saved.scaling[item]
        self._unknown[item] = None
        return Scaling.fit(target, f"series '{item}'", self.saved.schema.names)


def _check_finite(outlook: Outlook, origins: Sequence[Origin]) -> None:
    """Raise UserError for a forecast that is no number."""
    for values in vars(outlook).values():
        if isinstance(values, torch.Tensor) and not values.isfinite().all():
            bad = int(torch.nonzero(~values.isfinite())[0, 0])
            item = origins[bad].item_id
            of = f" of series '{item}'" if item else ""
            raise UserError(
                f"the forecast{of} from {origins[bad].start} on is not finite: the model's weights "
                "are beyond what can be computed with, or its history is; train the model again"
            )


def _forecast(
    outlook: Outlook, number: int, origin: Origin, request: PredictionRequest
) -> Forecast:
    """The forecast of one window of a batch."""

    def array(values: torch.Tensor) -> NDArray[np.float64]:
        """(…, H, K), or (…, H) of one channel."""
        found = values[number].numpy().swapaxes(-1, -2)
        return found[..., 0] if found.shape[-1] == 1 else found

    median = outlook.median
    info = None if median is None else {"median": array(median)}
    if request.mode == "probabilistic" and outlook.quantiles is not None:
        arrays = np.concatenate([array(outlook.quantiles), array(outlook.mean)[None]])
        keys = [*(str(level) for level in request.quantiles), "mean"]
        return QuantileForecast(arrays, origin.start, keys, origin.item_id, info)
    if request.mode == "probabilistic" and outlook.paths is not None:
        samples = array(outlook.paths)
    else:
        samples = array(outlook.point)[None]
    return CentredForecast(samples, array(outlook.mean), origin, info)


class CentredForecast(SampleForecast):
    """Sample paths with the model's own mean, which is not that of a finite number of them."""

    def __init__(
        self,
        samples: NDArray[np.float64],
        mean: NDArray[np.float64],
        origin: Origin,
        info: dict[str, NDArray[np.float64]] | None,
    ) -> None:
        super().__init__(samples, origin.start, origin.item_id, info)
        self._mean = mean

    def copy_dim(self, dim: int) -> SampleForecast:
        copied = super().copy_dim(dim)
        copied._mean = self.mean if self.mean.ndim == 1 else self.mean[:, dim]
        return copied


def context(values: NDArray[np.float64], lookback: int) -> NDArray[np.float64]:
    """The last L values, (K, L); a shorter history is padded with nan in front."""
    recent = values[-lookback:]
    padding = np.full((lookback - len(recent), values.shape[1]), np.nan)
    return np.concatenate([padding, recent]).T


def window_features(features: Sequence[Features], lookback: int, horizon: int) -> BatchCovariates:
    """The features of the last window of each series, 0 before its first row."""
    known = [context(each.known, lookback + horizon) for each in features]
    past = [context(each.past, lookback) for each in features]
    static = [each.static for each in features]
    own = [context(each.own, lookback + horizon) for each in features]
    tensors = (
        torch.from_numpy(np.nan_to_num(np.stack(each)).astype(np.float32))
        for each in (known, past, static, own)
    )
    return BatchCovariates(*tensors)


def observed(
    histories: NDArray[np.float64], dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values, 0 where missing, and the mask."""
    flat = torch.from_numpy(histories).to(dtype)
    return torch.nan_to_num(flat), (~flat.isnan()).to(dtype)


def default_mode(saved: SavedModel) -> Mode:
    """The default mode: probabilistic, unless the model has none (see ``check_request``)."""
    return "point" if saved.model.distribution == "none" else "probabilistic"
