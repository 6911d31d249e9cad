"""What a served model does for a request: a table in memory and parameters → its forecast."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from forecaster.config.load import reason
from forecaster.config.schema import Columns
from forecaster.config.sections import Names, Positive, nearest
from forecaster.data.encoding import Encoding
from forecaster.data.frames import with_index
from forecaster.data.reading import RawTable, read_frame
from forecaster.data.tables import Table
from forecaster.data.times.formats import is_own
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode
from forecaster.inference.forecasts import forecast_table
from forecaster.inference.inputs import columns_of, read_input
from forecaster.inference.predictor import PredictionRequest, default_mode
from forecaster.inference.saved_model import SavedModel
from forecaster.serving.limits import check_work


class Params(Columns):
    """The parameters of a request, as the options of ``forecast``; None: the model's default.

    What is not given about the table's columns is as in the training.

    The number of samples is bounded, so that one request cannot exhaust the server's memory, and no
    file of the server's is read.
    """

    mode: Mode | None = None
    quantiles: Annotated[tuple[float, ...], Field(min_length=1)] = (0.05, 0.5, 0.95)
    samples: Annotated[int, Field(ge=1, le=10_000)] = 100
    steps: Positive | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    conformal: bool = False
    start: str | None = None

    def roles(self) -> dict[str, Any]:
        """The parameters given that describe the table's columns."""
        given = self.model_fields_set & Columns.model_fields.keys()
        return {name: getattr(self, name) for name in given}


def read_params(given: Mapping[str, Any]) -> Params:
    """Validated parameters; raises UserError, one line, for the first fault.

    MLflow's server fills in None, or an empty list, for what is not given.
    """
    known = {
        name: value
        for name, value in given.items()
        if name not in Columns.model_fields or not (value is None or _is_empty(value))
    }
    if known.get("static_file") is not None:
        raise UserError(
            "params: 'static_file': a server reads no file that a request names; leave it out"
        )
    try:
        return Params.model_validate(known)
    except ValidationError as error:
        first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        names = sorted(Params.model_fields)
        raise UserError(
            f"params: no parameter '{name}'{nearest(name, names)}; known: {', '.join(names)}"
        )
    raise UserError(f"params: '{name}': {reason(first)}; correct it")


def parameters() -> dict[str, tuple[type, bool, Any]]:
    """Each parameter's type, whether it is a list of that type, and its default."""
    found = {}
    for name, field in Params.model_fields.items():
        kinds = list(_members(field.annotation))
        is_list = tuple in kinds and field.annotation != Names | None  # one text names several
        default: Any = [] if is_list else None
        if name not in Columns.model_fields:
            default = list(field.default) if is_list else field.default
        found[name] = (next(kind for kind in kinds if kind is not tuple), is_list, default)
    return found


def _members(annotation: Any) -> Iterator[type]:
    """The plain types in an annotation, ``tuple`` before that of its elements."""
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple:
        yield tuple
    elif get_origin(annotation) is Literal:
        yield str
        return
    elif (
        not arguments and annotation not in (type(None), Ellipsis) and isinstance(annotation, type)
    ):
        yield annotation
    for argument in arguments:
        yield from _members(argument)


def _is_empty(value: Any) -> bool:
    return isinstance(value, Sized) and len(value) == 0


def forecast_request(
    saved: SavedModel,
    source: pd.DataFrame | RawTable,
    given: Mapping[str, Any],
    check: Callable[[SavedModel, int, PredictionRequest], None] = lambda *_: None,
) -> tuple[pd.DataFrame, list[str]]:
    """The forecast of a table, and the decisions about its data.

    The forecast has a row a step: ``item_id, timestamp, mean[, quantiles…]``. A frame whose cells
    are arrays holds a whole table in every row, as a Spark column of arrays does: then each row of
    the result holds that table's forecast, as lists. ``check`` is called with the number of series
    before anything is computed.
    """
    params = read_params(given)
    if params.conformal and params.mode == "point":
        raise UserError(
            "params: 'conformal' gives intervals, mode 'point' has none; leave one of them out"
        )
    saved = saved.conformal() if params.conformal else saved
    request = PredictionRequest(
        params.mode or default_mode(saved),
        params.samples,
        params.steps,
        tuple(sorted(set(params.quantiles))),
        params.seed,
    )
    if isinstance(source, pd.DataFrame) and _is_nested(source):
        raws, nested = _raw_tables(source), True
    else:
        raws, nested = [_raw_table(source, "the table")], False
    tables = [read_input(saved, raw, params.roles(), params.start) for raw in raws]
    check(saved, sum(map(len, tables)), request)
    forecasts, decisions, columns = [], [], columns_of(saved, params.roles())
    for table in tables:
        forecast, notes = forecast_table(saved, table, request, columns)
        forecasts.append(_with_nulls(forecast))
        notes = table.report.decisions + notes
        decisions += [f"{table.path}: {note}" for note in notes] if nested else notes
    if not nested:
        return forecasts[0], decisions
    rows = [{name: forecast[name].tolist() for name in forecast} for forecast in forecasts]
    return pd.DataFrame(rows), decisions


def _with_nulls(forecast: pd.DataFrame) -> pd.DataFrame:
    """The same with None for the values of series that are skipped: JSON knows no nan."""
    known = forecast.notna().all(axis=None)
    return forecast if known else forecast.astype(object).replace({np.nan: None})


def _raw_table(source: pd.DataFrame | RawTable, name: str) -> RawTable:
    return source if isinstance(source, RawTable) else read_frame(with_index(source, name), name)


def _raw_tables(frame: pd.DataFrame) -> list[RawTable]:
    """The table in each row."""
    names = [f"the table in row {number}" for number in range(1, len(frame) + 1)]
    rows = (row for _, row in frame.iterrows())
    return [_raw_table(_unnested(row, name), name) for row, name in zip(rows, names, strict=True)]


def check_served(saved: SavedModel, series: int, request: PredictionRequest) -> None:
    """Raise TooMuchError for a forecast beyond the limits of a served one."""
    values = saved.config.data.horizon * len(saved.schema.names)
    samples = 1 if request.mode == "point" else request.samples
    check_work(series, values, samples, _steps(saved, request), len(request.quantiles))


def _steps(saved: SavedModel, request: PredictionRequest) -> int:
    """The number of sampling steps, 1 for a model that draws in one."""
    steps = getattr(getattr(saved.config.model, "sampler", None), "steps", 1)
    return request.steps or (steps if isinstance(steps, int) else len(steps))


def _is_nested(frame: pd.DataFrame) -> bool:
    return len(frame) > 0 and any(
        isinstance(cell, list | tuple | np.ndarray) for cell in frame.iloc[0]
    )


def _unnested(row: pd.Series, name: str) -> pd.DataFrame:
    """The table in one row; a cell without an array is repeated for all rows of that table."""
    arrays = {
        str(column): cell
        for column, cell in row.items()
        if isinstance(cell, Sized) and not isinstance(cell, str)
    }
    if not arrays:
        raise UserError(f"{name}: no column is an array, as others are; correct it")
    (first, values), *others = arrays.items()
    for column, cell in others:
        if len(cell) != len(values):
            raise UserError(
                f"{name}: column '{column}' has length {len(cell)} where '{first}' has "
                f"{len(values)}; correct it"
            )
    return pd.DataFrame(
        {str(column): arrays.get(str(column), cell) for column, cell in row.items()}
    )


def example(saved: SavedModel, table: Table) -> pd.DataFrame:
    """A small synthetic table in the layout of ``table``: sine waves around each column's mean.

    In the long layout it has two series: an item column without a known name is recognised by
    repeated times. Where covariates are known ahead, the rows to forecast follow, their values
    blank.
    """
    names, interval, data = saved.schema.names, table.interval, saved.config.data
    count, encoding = max(8, data.lookback // 10), saved.encoding
    ahead = data.horizon if encoding is not None and (encoding.known or encoding.own) else 0
    wave = np.sin(2 * np.pi * np.arange(count + ahead) / max(interval.season, 4))
    waves = wave[:, None].repeat(len(names), axis=1)
    stamps = list(table.clock.write(interval.stamps(table.series[0].first, count + ahead)))
    written = saved.config.data.date_format
    if written is not None and is_own(written):
        stamps = [pd.Timestamp(stamp).strftime(written) for stamp in stamps]
    frames = []
    for item, scale in itertools.islice(saved.scaling.items(), 2):
        values = scale.invert(waves).clip(*saved.config.data.limits(names))
        written_values = [[float(f"{v:.4g}") for v in column] for column in values.T]
        columns: dict[str, Any] = {table.report.facts["time column"]: stamps}
        columns |= {
            name: [*column[:count], *[None] * ahead]
            for name, column in zip(names, written_values, strict=True)
        }
        if encoding is not None:
            columns |= _covariate_columns(encoding, wave)
            columns |= dict(zip(encoding.own, written_values, strict=False))
        frames.append(
            pd.DataFrame(
                columns
                if saved.schema.layout == "wide"
                else {**_item_columns(saved, table, item), **columns}
            )
        )
    return pd.concat(frames, ignore_index=True)


def _covariate_columns(encoding: Encoding, wave: NDArray[np.float64]) -> dict[str, list[Any]]:
    """Made values of all columns of covariates but forecasts of one's own: waves, and each text."""
    given = 0 if encoding.given is None else len(encoding.given.names)
    static = encoding.static[: len(encoding.static) - given]
    found: dict[str, list[Any]] = {}
    for codes, varies in (((*encoding.known, *encoding.past), True), (static, False)):
        for code in codes:
            places = range(len(wave)) if varies else [0] * len(wave)
            if code.levels:
                found[code.name] = [code.levels[place % len(code.levels)] for place in places]
            else:
                found[code.name] = [float(f"{code.mean + code.std * wave[k]:.4g}") for k in places]
    return found


def _item_columns(saved: SavedModel, table: Table, item: str) -> dict[str, str]:
    found = table.rows.layout.items if table.rows is not None else ()
    columns = saved.config.data.item_id or found or ("item_id",)
    return dict(zip(columns, item.split("/", len(columns) - 1), strict=True))
