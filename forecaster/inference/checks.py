"""Whether a model can forecast a table as asked, and what is to be told of that."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from forecaster.config.schema import Columns
from forecaster.data.doubtful import doubtful_codes, other_scale
from forecaster.data.layout.words import with_unit
from forecaster.data.stuck import stuck
from forecaster.data.tables import Table
from forecaster.errors import UserError
from forecaster.inference.ahead import check_ahead
from forecaster.inference.faults import Fault, find_faults
from forecaster.inference.predictor import FEW, PredictionRequest, context, observed
from forecaster.inference.saved_model import SavedModel
from forecaster.models.residual_paths import FEWEST

_OTHERS = ", or give --missing-column masked to forecast the others"


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
    named: dict[str, float] = {}
    for level in request.quantiles:
        name = f"{level:g}"  # of its column
        if not 0 < float(name) < 1:
            raise UserError(f"--quantiles: {level} is {name} in six digits; give another level")
        if (other := named.setdefault(name, level)) != level:
            raise UserError(
                f"--quantiles: {other} and {level} are both {name} in six digits; leave one out"
            )
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
    length = schema.interval.length
    resampled = saved.rate != 1 and length is not None and table.interval.length == length
    if table.interval != schema.interval and not resampled:
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


def check_table(
    saved: SavedModel,
    table: Table,
    request: PredictionRequest,
    columns: Columns,
    stream: bool = False,
) -> tuple[list[Fault], list[str]]:
    """The series that the model cannot forecast, and decisions about the others.

    Raises UserError for a file that the model cannot forecast from, and for what ``columns`` refuse
    (see ``find_faults``). Besides a matching schema, each series needs a tenth of the lookback, and
    each channel a value in the rows that the model reads. ``stream``: further rows are to come.
    """
    check_schema(saved, table)
    faults = find_faults(saved, table, columns, not stream)
    config = saved.config.data
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
    readable = [number for number, names in good.items() if names]
    again = ", and train again with it if the training's file had such"
    unlike = [
        *doubtful_codes(table, columns.missing, config.lookback, again),
        *stuck(table, config.lookback),
        *_other_units(saved, table),
        *_other_scales(saved, table, good, order),
    ]
    ahead = check_ahead(saved, table, readable, stream)
    return faults, unlike + ahead + _estimated(saved, table, request, good)


def _other_units(saved: SavedModel, table: Table) -> Iterator[str]:
    """Decisions about columns whose numbers have another unit beside them than in the training."""
    before = saved.schema.units
    if before is None:
        return
    for name in saved.schema.names:
        unit, was = table.units.get(name, ""), before.get(name, "")
        k = table.names.index(name)
        if unit != was and any(not np.isnan(each.values[:, k]).all() for each in table.series):
            yield (
                f"column '{name}' is written {with_unit(unit)}, in the training's file "
                f"{with_unit(was)}: its numbers are taken as they are; if they mean something "
                "else now, write them as before"
            )


def _other_scales(
    saved: SavedModel, table: Table, good: Mapping[int, list[int]], order: Sequence[int]
) -> Iterator[str]:
    """A decision about columns whose recent values are far from the size of the training rows.

    ``good``: the columns of each series that it forecasts; ``order``: those of the model.
    """
    found = []
    for number, names in good.items():
        series = table.series[number]
        scale = saved.scaling.get(series.item_id or "")
        if scale is None or not names:
            continue
        of = "" if series.item_id is None else f"series '{series.item_id}', "
        recent = series.values[-saved.config.data.lookback :, order]
        found += [
            f"{of}column '{saved.schema.names[k]}': the values that the model reads are of the "
            f"size {size:.3g}, those that it has learnt from of {before:.3g} (root mean squares)"
            for k, size, before in other_scale(recent, scale)
            if order[k] in names
        ]
    if found:
        more = f"; and {len(found) - 1:,} more like this" if found[1:] else ""
        yield (
            f"{found[0]}{more}: if these are of another unit, or stand for missing values, the "
            "forecast is of no use; write them as in the training's file"
        )


def _estimated(
    saved: SavedModel, table: Table, request: PredictionRequest, good: Mapping[int, list[int]]
) -> list[str]:
    """What the model reads of each series besides its values, and what that costs; all in one line
    where they are many. ``good``: the columns of each series that it forecasts.
    """
    lookback = saved.config.data.lookback
    seen = saved.held_out.seen if request.mode == "probabilistic" else None
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
    if len(found) <= FEW:
        return list(found.values())
    shown = ", ".join(name.removeprefix("series ").rstrip(": ") for name in list(found)[:FEW])
    wider = "" if seen is None else _wider(largest)
    return [
        f"{len(found)} series ({shown}, …) have fewer rows than the {lookback} that the model "
        f"reads, or missing values in them: what is missing is estimated{wider}"
    ]


def _wider(factor: float) -> str:
    return f", intervals up to {factor:.2f} times as wide" if factor >= 1.005 else ""
