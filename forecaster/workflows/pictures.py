"""Pictures of forecasts: the series, the samples and the intervals that they show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
from gluonts.model.forecast import SampleForecast

from forecaster.errors import UserError
from forecaster.inference.forecasts import TableForecast, forecast_series
from forecaster.inference.saved_model import SavedModel
from forecaster.reporting.fans import (
    LEVELS,
    MOST,
    Choice,
    Picture,
    choose,
    history_length,
    picture_of,
    places,
    recent_history,
)

SAMPLES = 1000
# what is drawn quickly: by few network calls, and so many numbers in each, some seconds' work
_CALLS, _NUMBERS = 10, 5_000_000
ERRORS = "mase_by_series"  # in a model's metadata


def picture(
    forecast: TableForecast, series: Sequence[str] | None = None, most: int = MOST
) -> Picture:
    """The picture of a forecast: of these series, or of the worst, at most so many.

    Its point forecast is that of ``forecast``. Its intervals are those of 50, 80 and 95 %, whatever
    quantiles were asked for, as far as the model has them: of ``SAMPLES`` paths with the same seed
    where they are drawn quickly, else of the paths that the forecast drew.
    """
    saved, frame = forecast.saved, forecast.frame
    known = frame["item_id"][frame["mean"].notna()].drop_duplicates().tolist()
    choice = choose(known, errors_of(saved.metadata), series, most)
    return picture_of(forecast.table, frame, _quantiles(forecast, choice), choice, _history(saved))


def history_of(forecast: TableForecast, drawn: Picture) -> pd.DataFrame:
    """The history of a picture, as it is stored with a run."""
    names = [fan.name for fan in drawn.fans]
    return recent_history(forecast.table, names, _history(forecast.saved))


def _history(saved: SavedModel) -> int:
    return history_length(saved.config.data.horizon, saved.shape.seasons[0])


def errors_of(metadata: Mapping[str, object]) -> dict[str, float]:
    """The MASE of each series on held-out windows, as the training stored it; else none."""
    found = metadata.get(ERRORS)
    if not isinstance(found, dict):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, float)}


def samples_of(saved: SavedModel, samples: int, series: int) -> int:
    """How many paths of ``series`` series are drawn for a picture, ``samples`` at least."""
    return max(samples, SAMPLES) if _is_quick(saved, series) else samples


def _is_quick(saved: SavedModel, series: int) -> bool:
    """Whether ``SAMPLES`` paths cost little; by the model alone, so that it is always the same."""
    steps = getattr(getattr(saved.config.model, "sampler", None), "steps", 1)
    numbers = SAMPLES * series * len(saved.schema.names) * saved.config.data.horizon
    return not saved.core.draws_centre and steps <= _CALLS and steps * numbers <= _NUMBERS


def _quantiles(forecast: TableForecast, choice: Choice) -> pd.DataFrame:
    """The rows of the chosen series, with the quantiles that their picture shows."""
    saved, request, table = forecast.saved, forecast.request, forecast.table
    if request.mode == "point" or not saved.model.has_spread(request.steps):
        return forecast.frame[["item_id", "timestamp", "mean"]]
    numbers = sorted({places(table)[name][0] for name in choice.names})
    # those without the model borrow the errors of others
    if all(forecast.series[number] is not None for number in numbers):
        table = replace(table, series=tuple(table.series[number] for number in numbers))
    drawn = None
    if _is_quick(saved, len(table.series)):
        request = replace(request, samples=max(request.samples, SAMPLES))
    elif any(isinstance(each, SampleForecast) for each in forecast.series):
        table, drawn = forecast.table, forecast.series
    else:
        return forecast.frame
    if replace(request, quantiles=LEVELS) == forecast.request:
        return forecast.frame
    for levels in (LEVELS, LEVELS[1:-1], LEVELS[2:-2]):
        asked = replace(request, quantiles=levels)
        try:
            return forecast_series(saved, table, asked, forecast.columns, drawn).frame
        except UserError:  # wide conformal intervals need more errors than there may be
            continue
    return forecast.frame
