"""Forecasts as a table in the file's units and order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from gluonts.model.forecast import Forecast, QuantileForecast, SampleForecast
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.tables import Series, Table
from forecaster.inference.checks import check_request, check_table
from forecaster.inference.faults import readable_series
from forecaster.inference.outcome import Cells, Lenders, Outcome, Place, with_fallbacks
from forecaster.inference.predictor import PredictionRequest, SavedPredictor
from forecaster.inference.saved_model import SavedModel
from forecaster.models.residual_paths import FEWEST, ResidualPaths
from forecaster.models.seen import Widened

# held-out forecasts of fewer errors are no distribution to read quantiles from
_FEW_PATHS = 10


def in_model_order(saved: SavedModel, table: Table) -> Table:
    """The same table with its channels in the model's order."""
    order = [table.names.index(name) for name in saved.schema.names]
    series = tuple(replace(s, values=s.values[:, order]) for s in table.series)
    return replace(table, names=saved.schema.names, series=series)


@dataclass(frozen=True)
class TableForecast:
    """The forecasts of a table's series by a model, in the table's order.

    ``frame`` is the long table ``item_id, timestamp, mean[, median][, quantiles…][, status]`` in
    the file's item and time order; ``series`` are GluonTS forecasts, with channels in the model's
    order, None for a series that the model does not forecast.
    """

    saved: SavedModel
    columns: Columns
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
    saved: SavedModel,
    table: Table,
    request: PredictionRequest,
    columns: Columns | None = None,
    drawn: Sequence[Forecast | None] | None = None,
    lenders: Lenders | None = None,
    paths: bool = True,
) -> TableForecast:
    """Forecast every series of a table. Raises UserError for what the model cannot forecast.

    ``columns``: what becomes of series that it cannot (None: as in the training). ``drawn``:
    sample paths of a forecast of this table, of which others are its quantiles. ``lenders``: of a
    part of a file, see ``with_fallbacks``. ``paths``: whether the ``series`` of the result keep
    their sample paths; without, they have their means alone.
    """
    check_request(saved, request)
    columns = columns if columns is not None else saved.config.data.columns
    faults, decisions = check_table(saved, table, request, columns)
    decisions += _without_spread(saved, request) + _learnt_rows(saved, table)
    predictor = SavedPredictor(saved, request)
    readable = readable_series(saved, table, faults)
    kept = replace(table, series=tuple(readable.values()))
    forecasts = (
        predictor.predict(in_model_order(saved, kept)) if drawn is None else filter(None, drawn)
    )
    found: dict[int, Forecast] = {}
    cells: dict[Place, Cells] = {}
    for number, forecast in zip(readable, forecasts, strict=True):
        found[number] = forecast if paths else _mean_of(forecast)
        for k, name in enumerate(table.names):
            cells[number, k] = _columns(forecast, saved.schema.names.index(name), request)
    outcome = with_fallbacks(saved, table, cells, faults, levels_of(request), lenders)
    frame = _frame(table, outcome, predictor.prediction_length, columns.tells_status)
    series = tuple(found.get(number) for number in range(len(table.series)))
    decisions += outcome.decisions + predictor.decisions
    return TableForecast(saved, columns, request, table, frame, series, decisions)


def _mean_of(forecast: Forecast) -> QuantileForecast:
    """The mean alone, without the arrays that it was computed from."""
    mean = np.array(forecast.mean)[None]
    return QuantileForecast(mean, forecast.start_date, ["mean"], forecast.item_id)


def _frame(table: Table, outcome: Outcome, horizon: int, tells_status: bool) -> pd.DataFrame:
    """The long table of all series, with a column ``status`` if asked for."""
    places = [(number, k) for number in range(len(table.series)) for k in range(len(table.names))]
    ends = [(series.first, len(series.values)) for series in table.series]
    order = slice(None, None, -1 if table.newest_first else 1)
    stamps = {end: _stamps(table, *end, horizon)[order] for end in set(ends)}
    columns: dict[str, Any] = {
        "item_id": [label for label in table.labels for _ in range(horizon)],
        "timestamp": [stamp for number, _ in places for stamp in stamps[ends[number]]],
    }
    for name in outcome.cells[places[0]]:
        columns[name] = np.concatenate([outcome.cells[place][name][order] for place in places])
    if tells_status:
        columns["status"] = [outcome.status[place] for place in places for _ in range(horizon)]
    return pd.DataFrame(columns)


def _stamps(table: Table, first: pd.Timestamp, rows: int, horizon: int) -> list[str]:
    """The times of a series' forecast as the file writes them."""
    return table.clock.write(table.interval.stamps(first, rows + horizon)[rows:])


def _learnt_rows(saved: SavedModel, table: Table) -> list[str]:
    """A decision if the model has learnt from rows after the end of a series."""
    until, after = saved.until(), []
    for series in table.series:
        last = table.interval.stamp(series.first, len(series.values) - 1)
        learnt = until.get(series.item_id or "")
        if learnt is not None and last < learnt:
            name = "the file" if series.item_id is None else f"series '{series.item_id}'"
            ends, until_then = (table.clock.said(each) for each in (last, learnt))
            after.append(
                f"{name} ends at {ends}, the model has learnt from rows until {until_then}"
            )
    if not after:
        return []
    others = "" if len(after) == 1 else f" (and of {len(after) - 1} more series)"
    return [f"{after[0]}{others}: if these are its rows, errors of this forecast flatter it"]


def _without_spread(saved: SavedModel, request: PredictionRequest) -> list[str]:
    """A decision if there are no quantiles or few different ones, for want of held-out errors, or
    if all samples are equal with this number of sampling steps.
    """
    count = len(saved.held_out.errors)
    if request.mode == "point":
        if saved.model.distribution != "none":
            return []
        return [
            f"no quantiles, which are made of the errors of held-out forecasts: {count} where "
            f"{FEWEST} are needed; train with more rows, or a shorter horizon"
        ]
    model = saved.model.model if isinstance(saved.model, Widened) else saved.model
    if isinstance(model, ResidualPaths) and count < _FEW_PATHS:
        return [
            f"the intervals are made of the errors of {count} held-out forecasts: their quantiles "
            "are few different values; train with more rows, or a shorter horizon"
        ]
    if saved.model.has_spread(request.steps):
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
            # as in the metrics; GluonTS takes the nearest sample
            values = np.quantile(forecast.samples, request.quantiles, axis=0, method="weibull")
        else:
            values = np.stack([forecast.quantile(str(level)) for level in request.quantiles])
        columns |= {
            f"{level:g}": pick(v) for level, v in zip(request.quantiles, values, strict=True)
        }
    return columns
