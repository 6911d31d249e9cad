"""A saved model as a GluonTS predictor, and forecasts as a table in the file's units and order."""

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

from forecaster.config.schema import Columns
from forecaster.data.intervals import step_number
from forecaster.data.splits import Scaling
from forecaster.data.tables import Series, Table
from forecaster.diffusion.drawing import Draws
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode
from forecaster.inference.faults import Fault, find_faults, readable_series
from forecaster.inference.outcome import Outcome, with_fallbacks
from forecaster.inference.saved_model import SavedModel
from forecaster.models.base import Forecaster, empty_future
from forecaster.models.outlook import Outlook
from forecaster.models.residual_paths import FEWEST
from forecaster.models.seeds import window_seed

_OTHERS = ", or give --missing-column masked to forecast the others"


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
_FEW = 3


class SavedPredictor(Predictor):
    """A GluonTS predictor: entries with targets (K, n) or (n,) → forecasts of the next H values.

    Point mode and sampling models return a ``SampleForecast`` (one sample in point mode), quantile
    models a ``QuantileForecast``; arrays are (H, K), or (H,) for a series with one channel. Where
    the point forecast is a median, it is ``info["median"]``.
    """

    def __init__(self, saved: SavedModel, request: PredictionRequest) -> None:
        super().__init__(prediction_length=saved.config.data.horizon, lead_time=0)
        self.saved, self.request = saved, request
        self.decisions: list[str] = []

    def predict(
        self, dataset: Dataset, num_samples: int | None = None, **kwargs: Any
    ) -> Iterator[Forecast]:
        """One forecast an entry, in their order; ``num_samples`` overrides the request's number."""
        request = (
            self.request if num_samples is None else replace(self.request, samples=num_samples)
        )
        entries = list(dataset)
        for begin in range(0, len(entries), request.batch_size):
            yield from self._batch(entries[begin : begin + request.batch_size], request)

    def _batch(
        self, entries: Sequence[Mapping[str, Any]], request: PredictionRequest
    ) -> Iterator[Forecast]:
        contexts, origins = [], []
        for entry in entries:
            target = np.atleast_2d(np.asarray(entry["target"], dtype=np.float64)).T  # (n, K)
            scale = self.scaling(entry.get("item_id"), target)
            contexts.append(context(scale.apply(target), self.saved.config.data.lookback))
            origins.append(Origin(entry.get("item_id"), entry["start"] + len(target), scale))
        return self.forecasts(self.saved.model, np.stack(contexts), origins, request)

    @torch.no_grad()
    def forecasts(
        self,
        model: Forecaster,
        histories: NDArray[np.float64],
        origins: Sequence[Origin],
        request: PredictionRequest,
    ) -> Iterator[Forecast]:
        """The forecasts of ``model`` from histories (B, K, L) in z-scores, nan for missing."""
        past, mask = observed(histories)
        times = torch.tensor([step_number(origin.start) for origin in origins])
        numbers = {item: number for number, item in enumerate(self.saved.scaling)}
        series = torch.tensor([numbers.get(origin.item_id or "", -1) for origin in origins])
        seasons = self.saved.shape.seasons
        windows = empty_future(past, mask, self.prediction_length, times, series, seasons)
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
        low, high = map(torch.tensor, self.saved.config.data.limits(self.saved.schema.names))

        def restore(values: torch.Tensor) -> torch.Tensor:
            shape = (len(origins), *[1] * (values.ndim - 3), -1, 1)
            found = values.double().cpu() * std.view(shape) + mean.view(shape)
            return found.clamp(low.double()[:, None], high.double()[:, None])

        return restore

    def scaling(self, item_id: str | None, target: NDArray[np.float64]) -> Scaling:
        """The stored scaling of a series, or one fitted on its values (n, K) if it is unknown."""
        item = item_id or ""
        if item in self.saved.scaling:
            return self.saved.scaling[item]
        self.decisions.append(f"series '{item}' was not in the training: scaled by its own values")
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


def observed(
    histories: NDArray[np.float64], dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values, 0 where missing, and the mask."""
    flat = torch.from_numpy(histories).to(dtype)
    return torch.nan_to_num(flat), (~flat.isnan()).to(dtype)


def default_mode(saved: SavedModel) -> Mode:
    """The default mode: probabilistic, unless the model has none (see ``check_request``)."""
    return "point" if saved.model.distribution == "none" else "probabilistic"


def too_few_errors(saved: SavedModel) -> str:
    """Why a point model has no samples."""
    return (
        f"model '{saved.config.model.name}' has too few held-out errors to draw samples from "
        f"({len(saved.held_out.errors)} where {FEWEST} are needed); ask for --mode point, or train "
        "with more rows"
    )


def check_request(saved: SavedModel, request: PredictionRequest) -> None:
    """Raise UserError for options that the model does not support."""
    for level in request.quantiles:
        if not 0 < level < 1:
            raise UserError(f"--quantiles: {level} does not lie between 0 and 1")
    if request.samples < 1:
        raise UserError("--samples: at least 1")
    if request.mode == "probabilistic" and saved.rate != 1:
        raise UserError("--resample-rate gives a point forecast only; ask for --mode point")
    if request.mode == "probabilistic" and saved.model.distribution == "none":
        raise UserError(too_few_errors(saved))
    saved.model.check_steps(request.steps)


def check_schema(saved: SavedModel, table: Table) -> None:
    """Raise UserError unless channels (in any order) and interval are those of the model."""
    schema = saved.schema
    missing = [name for name in schema.names if name not in table.names]
    extra = [name for name in table.names if name not in schema.names]
    if missing:
        others = "" if len(missing) == len(schema.names) else _OTHERS
        raise UserError(
            f"{table.path}: column '{missing[0]}' is in the model but not in the file; add it"
            f"{others}"
        )
    if extra:
        raise UserError(
            f"{table.path}: column '{extra[0]}' is in the file but not in the model; leave it out "
            "with "
            f"--target {','.join(schema.names)}"
        )
    if table.interval != schema.interval:
        expected, remedy = (
            "the model was trained on",
            "train a model on this interval, or resample the file",
        )
        if saved.rate != 1:
            expected, remedy = (
                f"--resample-rate {saved.rate} makes the model's",
                "give the ratio of the two intervals",
            )
        raise UserError(
            f"{table.path}: the interval is {table.interval.alias}, but {expected} "
            f"{schema.interval.alias}; {remedy}"
        )


def check_table(saved: SavedModel, table: Table, columns: Columns) -> tuple[list[Fault], list[str]]:
    """The series that the model cannot forecast, and decisions about the others.

    Raises UserError for a file that the model cannot forecast from, and for what ``columns`` refuse
    (see ``find_faults``). Besides a matching schema, each series needs a tenth of the lookback, and
    each channel a value in the rows that the model reads.
    """
    check_schema(saved, table)
    faults, config = find_faults(saved, table, columns), saved.config.data
    faulty = {(fault.series, fault.channel) for fault in faults}
    order = [table.names.index(channel) for channel in saved.schema.names]
    good = {
        number: [k for k in range(len(table.names)) if (number, k) not in faulty]
        for number in range(len(table.series))
    }
    for number, series in enumerate(table.series):
        scale = saved.scaling.get(series.item_id or "")
        if scale is not None and good[number]:
            name = "" if series.item_id is None else f"series '{series.item_id}': "
            place = f"{table.path}: {name}".rstrip(": ")
            recent = series.values[-config.lookback :]
            scale.check(recent[:, order], place, saved.schema.names)
    return faults, _estimated(saved, table, good)


def _estimated(saved: SavedModel, table: Table, good: Mapping[int, list[int]]) -> list[str]:
    """What the model reads of each series besides its values, and what that costs; all in one line
    where they are many. ``good``: the columns of each series that it forecasts.
    """
    lookback, seen = saved.config.data.lookback, saved.held_out.seen
    found: dict[str, str] = {}
    largest = 1.0
    for number, series in enumerate(table.series):
        if not good[number]:
            continue
        recent = series.values[-lookback:, good[number]]
        missing = int(np.isnan(recent).sum())
        lacks = [f"{len(recent)} rows where the model reads {lookback}"] * (len(recent) < lookback)
        lacks += [f"{missing} missing values in the rows that the model reads"] * bool(missing)
        if not lacks:
            continue
        wider = ""
        if seen is not None:
            factor = float(seen.factors(observed(context(recent, lookback)[None])[1]).max())
            largest = max(largest, factor)
            wider = _wider(factor)
        name = "" if series.item_id is None else f"series '{series.item_id}': "
        found[name] = f"{name}{' and '.join(lacks)}: what is missing is estimated{wider}"
    if len(found) <= _FEW:
        return list(found.values())
    shown = ", ".join(name.removeprefix("series ").rstrip(": ") for name in list(found)[:_FEW])
    wider = "" if seen is None else _wider(largest)
    return [
        f"{len(found)} series ({shown}, …) have fewer rows than the {lookback} that the model "
        f"reads, or missing values in them: what is missing is estimated{wider}"
    ]


def _wider(factor: float) -> str:
    return f", intervals up to {factor:.2f} times as wide"


def in_model_order(saved: SavedModel, table: Table) -> Table:
    """The same table with its channels in the model's order."""
    order = [table.names.index(name) for name in saved.schema.names]
    series = tuple(replace(s, values=s.values[:, order]) for s in table.series)
    return replace(table, names=saved.schema.names, series=series)


@dataclass(frozen=True)
class TableForecast:
    """The forecasts of a table's series, in its order.

    ``frame`` is the long table ``item_id, timestamp, mean[, median][, quantiles…][, status]`` in
    the file's item and time order; ``series`` are GluonTS forecasts, with channels in the model's
    order, None for a series that the model does not forecast.
    """

    request: PredictionRequest
    table: Table
    frame: pd.DataFrame
    series: tuple[Forecast | None, ...]
    decisions: list[str]


def forecast_table(
    saved: SavedModel, table: Table, request: PredictionRequest, columns: Columns | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """The long table of ``forecast_series``, and its decisions."""
    forecast = forecast_series(saved, table, request, columns)
    return forecast.frame, forecast.decisions


def forecast_series(
    saved: SavedModel, table: Table, request: PredictionRequest, columns: Columns | None = None
) -> TableForecast:
    """Forecast every series of a table. Raises UserError for what the model cannot forecast.

    ``columns``: what becomes of series that it cannot (None: as in the training).
    """
    check_request(saved, request)
    columns = columns if columns is not None else saved.config.data.columns
    faults, decisions = check_table(saved, table, columns)
    decisions += _without_spread(saved, request) + _learnt_rows(saved, table)
    predictor = SavedPredictor(saved, request)
    readable = readable_series(saved, table, faults)
    kept = replace(table, series=tuple(readable.values()))
    found = dict(zip(readable, predictor.predict(in_model_order(saved, kept)), strict=True))
    cells = {
        (number, k): _columns(forecast, saved.schema.names.index(name), request)
        for number, forecast in found.items()
        for k, name in enumerate(table.names)
    }
    outcome = with_fallbacks(saved, table, cells, faults, levels_of(request))
    frame = _frame(table, outcome, predictor.prediction_length, columns.tells_status)
    series = tuple(found.get(number) for number in range(len(table.series)))
    decisions += outcome.decisions + predictor.decisions
    return TableForecast(request, table, frame, series, decisions)


def _frame(table: Table, outcome: Outcome, horizon: int, tells_status: bool) -> pd.DataFrame:
    """The long table of all series, with a column ``status`` if asked for."""
    frames = []
    for number, series in enumerate(table.series):
        grid = table.interval.stamps(series.first, len(series.values) + horizon)
        stamps = table.clock.write(grid[len(series.values) :])
        for k in range(len(table.names)):
            status = {"status": outcome.status[number, k]} if tells_status else {}
            columns = {**outcome.cells[number, k], **status}
            frames.append(_rows(table, series, k, stamps, columns))
    return pd.concat(frames, ignore_index=True)


def _learnt_rows(saved: SavedModel, table: Table) -> list[str]:
    """A decision if the model has learnt from rows after the end of a series."""
    until, after = saved.until(), []
    for series in table.series:
        last = table.interval.stamps(series.first, len(series.values))[-1]
        learnt = until.get(series.item_id or "")
        if learnt is not None and last < learnt:
            name = "the file" if series.item_id is None else f"series '{series.item_id}'"
            after.append(f"{name} ends at {last}, the model has learnt from rows until {learnt}")
    if not after:
        return []
    others = "" if len(after) == 1 else f" (and of {len(after) - 1} more series)"
    return [f"{after[0]}{others}: if these are its rows, errors of this forecast flatter it"]


def _without_spread(saved: SavedModel, request: PredictionRequest) -> list[str]:
    """A decision if all samples are equal with this number of sampling steps."""
    if request.mode == "point" or saved.model.has_spread(request.steps):
        return []
    return [
        f"--steps {request.steps}: this path draws no noise in so few steps, so all samples are "
        "alike and the intervals have no width; give more steps"
    ]


def series_rows(
    channels: Sequence[str],
    table: Table,
    series: Series,
    forecast: Forecast,
    grid: pd.DatetimeIndex,
    request: PredictionRequest,
) -> list[pd.DataFrame]:
    """The rows of a series' forecast at the times ``grid``: a frame for each column of the file.

    ``channels``: the value columns in the model's order.
    """
    stamps = table.clock.write(grid)
    return [
        _rows(table, series, k, stamps, _columns(forecast, channels.index(name), request))
        for k, name in enumerate(table.names)
    ]


def _rows(
    table: Table, series: Series, channel: int, stamps: list[str], columns: Mapping[str, Any]
) -> pd.DataFrame:
    label = table.channel_label(series, channel)
    rows = pd.DataFrame({"item_id": label, "timestamp": stamps, **columns})
    return rows.iloc[::-1] if table.newest_first else rows


def levels_of(request: PredictionRequest) -> tuple[float, ...]:
    """The quantiles that a forecast has."""
    return request.quantiles if request.mode == "probabilistic" else ()


def _columns(
    forecast: Forecast, channel: int, request: PredictionRequest
) -> dict[str, NDArray[np.float64]]:
    def pick(array: NDArray[np.float64]) -> NDArray[np.float64]:
        return array if array.ndim == 1 else array[:, channel]

    columns = {"mean": pick(np.asarray(forecast.mean))}
    columns |= {name: pick(values) for name, values in (forecast.info or {}).items()}
    if request.mode == "probabilistic":
        if isinstance(forecast, SampleForecast):
            # interpolated as in the metrics; GluonTS takes the nearest sample
            values = np.quantile(forecast.samples, request.quantiles, axis=0)
        else:
            values = np.stack([forecast.quantile(str(level)) for level in request.quantiles])
        columns |= {
            f"{level:g}": pick(v) for level, v in zip(request.quantiles, values, strict=True)
        }
    return columns
