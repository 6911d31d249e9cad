"""Files to forecast from or to score, read like the file that a model was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from forecaster.config.schema import Columns
from forecaster.data.future import with_future
from forecaster.data.reading import RawTable
from forecaster.data.report import IntakeReport
from forecaster.data.short import without_short
from forecaster.data.static_file import left_out, read_static, with_static
from forecaster.data.tables import Table, read_table
from forecaster.data.times.formats import is_own
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel


def columns_of(saved: SavedModel, roles: Mapping[str, Any]) -> Columns:
    """Column roles of a file to forecast from: the training file's, overridden by ``roles``.

    Values of None do not override. The training file's interval is not imposed: it is compared
    later; nor is its order of day and month, which is taken where a file leaves that open; nor its
    file of static values, which the model has kept.
    """
    columns = saved.config.data.columns
    given = ("known", "past", "static", "calendar", "holidays", "prior_column", "categorical")
    for name in given:
        if roles.get(name) not in (None, getattr(columns, name)):
            raise UserError(
                f"--{name.replace('_', '-')}: the covariates are those that the model was trained "
                "with; leave it out"
            )
    if roles.get("static_file") is not None and columns.static_file is None:
        raise UserError(
            "--static-file: the model was trained without one, so that it knows no such columns; "
            "leave it out"
        )
    kept = columns.date_format
    kept = kept if kept is not None and is_own(kept) else None
    # a step whose rows are put together, or are counted in, is part of how a file is read
    counted = columns.aggregate is not None or columns.layout == "series-in-rows"
    step = columns.resample or (columns.freq if counted else None)
    overrides = {name: value for name, value in roles.items() if value is not None}
    return columns.model_copy(
        update={
            "freq": None,
            "resample": step,
            "date_format": kept,
            "static_file": None,
            **overrides,
        }
    )


def read_input(
    saved: SavedModel,
    source: str | Path | RawTable,
    roles: Mapping[str, Any],
    start: str | None = None,
    future: str | Path | RawTable | None = None,
) -> Table:
    """A file to forecast from or to score, read like the training file, but for ``roles``.

    ``start``: the time at which forecasts begin (None: after the last row with a value).
    ``future``: a file of the known covariates after that. Series too short to forecast from are
    left out, if that is allowed.
    """
    if start is not None and roles.get("align") is not None:
        raise UserError("--start and --align both say where forecasts begin; leave one of them out")
    columns = columns_of(saved, roles)
    usual, wanted = saved.schema.date_style, saved.schema.names
    alone = columns.model_copy(update={"static_file": None})
    zoned = columns.timezone is None and bool((saved.metadata.get("clock") or {}).get("utc"))
    table = read_table(
        source, alone, IntakeReport(), usual=usual, wanted=wanted, start=start, zoned=zoned
    )
    table = _with_static(saved, table, columns)
    if saved.config.data.columns.on_gap != "zero":
        # the model has learnt from no rows that were put in
        series = tuple(replace(each, put_in=each.put_in[:0]) for each in table.series)
        table = replace(table, series=series)
    if future is not None:
        table = with_future(table, future, columns)
    if columns.missing_column == "masked":
        table = _with_absent(table, wanted)
    return without_short(table, fewest_rows(saved)) if columns.on_short == "drop" else table


def _with_static(saved: SavedModel, table: Table, columns: Columns) -> Table:
    """The table with the static values that the model has kept, or with those of a newer file."""
    kept = None if saved.encoding is None else saved.encoding.given
    if kept is None or columns.static_file is None:
        return table if kept is None else with_static(table, kept)
    newer = read_static(columns.static_file, columns)
    table.report.decisions.extend(left_out(table, newer))
    return with_static(table, kept.replaced_by(newer))


def _with_absent(table: Table, names: Sequence[str]) -> Table:
    """The table with the columns of a model that it lacks, without values."""
    absent = tuple(name for name in names if name not in table.names)
    if not absent or len(absent) == len(names):
        return table
    listed = ", ".join(f"'{name}'" for name in absent)
    table.report.decisions.append(f"column {listed} is not in the file: masked")
    wider = ((0, 0), (0, len(absent)))
    series = tuple(
        replace(each, values=np.pad(each.values, wider, constant_values=np.nan))
        for each in table.series
    )
    return replace(table, names=table.names + absent, series=series, absent=absent)


def fewest_rows(saved: SavedModel) -> int:
    """The fewest rows of a series to forecast from: a tenth of the lookback."""
    return max(2, saved.config.data.lookback // 10)
