"""What forecasts the parts of a file: an engine, of which ``local`` is this process.

An engine gets parts in the order of the file, and gives their forecasts in that order. A part is
computed by one thread, and its numbers depend on its rows, the model and the recipe alone, so that
all engines give the same ones.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
import torch

from forecaster.data.many import read_part
from forecaster.inference.forecasts import forecast_series
from forecaster.inference.inputs import columns_of, read_input
from forecaster.inference.outcome import Lenders
from forecaster.inference.predictor import PredictionRequest
from forecaster.inference.saved_model import SavedModel


@dataclass(frozen=True)
class Recipe:
    """What the forecast of a part depends on besides the model and the rows of the part.

    ``path``, ``digest``: of the whole file. ``lenders``: see ``with_fallbacks``. ``resample_rate``,
    ``conformal``: see ``as_asked``. ``trust_code``: see ``load_model``.
    """

    path: str
    digest: str
    roles: Mapping[str, Any]
    start: str | None
    request: PredictionRequest
    lenders: Lenders
    resample_rate: int = 1
    conformal: bool = False
    trust_code: bool = False


@dataclass(frozen=True)
class PartForecast:
    """The rows of a part's forecast, what is to be told of it, and the number of its series."""

    frame: pd.DataFrame
    decisions: list[str]
    series: int


class Engine(Protocol):
    """Forecasts the parts of a file."""

    def __call__(
        self, saved: SavedModel, recipe: Recipe, parts: Iterable[bytes]
    ) -> Iterator[PartForecast]:
        """The forecasts of ``parts`` (see ``Parts.taken``) by a model as it is asked for.

        Raises UserError for the first part that cannot be forecast.
        """


def as_asked(saved: SavedModel, resample_rate: int, conformal: bool) -> SavedModel:
    """The model at ``resample_rate`` times its interval, or with conformal intervals."""
    saved = saved.resampled(resample_rate) if resample_rate > 1 else saved
    return saved.conformal() if conformal else saved


def forecast_part(saved: SavedModel, recipe: Recipe, content: bytes) -> PartForecast:
    """Forecast a part. Raises UserError if it cannot be forecast."""
    raw = read_part(recipe.path, recipe.digest, content)
    table = read_input(saved, raw, recipe.roles, recipe.start)
    columns = columns_of(saved, recipe.roles)
    with _one_thread():
        request, lenders = recipe.request, recipe.lenders
        result = forecast_series(saved, table, request, columns, lenders=lenders, paths=False)
    return PartForecast(result.frame, table.report.decisions + result.decisions, len(table.series))


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def local(saved: SavedModel, recipe: Recipe, parts: Iterable[bytes]) -> Iterator[PartForecast]:
    """Forecast one part after the other in this process."""
    for content in parts:
        yield forecast_part(saved, recipe, content)
