"""Tables turned on their side → a row a time and series, the columns ``timestamp``, ``value``."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.config.schema import Columns
from forecaster.data.cells import Column, Text
from forecaster.data.layout.across import Across, dates_across, numbered, periods_across
from forecaster.data.layout.codes import is_words, starts_whole
from forecaster.data.layout.keys import names_series
from forecaster.data.layout.time_columns import check_language
from forecaster.data.layout.words import listed, with_unit
from forecaster.data.numbers import Numbers, numbers
from forecaster.data.reading import RawTable
from forecaster.errors import UserError

TIME, VALUE, ROW = "timestamp", "value", "row"
_LAYOUTS: dict[str, Callable[[RawTable, Columns], Across | None]] = {
    "dates-across": dates_across,
    "periods-across": periods_across,
    "series-in-rows": numbered,
}


def turned(raw: RawTable, columns: Columns) -> tuple[RawTable, Columns, list[str]]:
    """The table with a row a time and series, its roles, and what is said of it.

    A table that stands upright is returned as it is; raises UserError for one that may not, unless
    a layout is given.
    """
    if columns.layout in {"wide", "long"} or (columns.layout is None and columns.target):
        return raw, columns, []
    if columns.layout is None:
        for layout, find in _LAYOUTS.items():
            across = find(raw, columns)
            if across is not None:
                raise UserError(f"{raw.path}: {across.what}; {_offer(layout, columns)}")
        return raw, columns, []
    across = _LAYOUTS[columns.layout](raw, columns)
    if across is None:
        check_language(raw, columns)
        raise UserError(
            f"{raw.path}: --layout {columns.layout}: no columns stand so; leave the option out"
        )
    if columns.target is not None:
        raise UserError(f"--layout {columns.layout} has one value, '{VALUE}'; leave out --target")
    table, said = _upright(raw, columns, across)
    found = {"timestamp": TIME, "target": (VALUE,)}
    if ROW in table.columns and columns.item_id is None:
        found["item_id"] = (ROW,)
    roles = columns.model_copy(update=found)
    return table, roles, [f"{across.what}: read by --layout {columns.layout}", *said]


def _offer(layout: str, columns: Columns) -> str:
    if layout == "series-in-rows" and columns.freq is None:
        return "give --layout series-in-rows and their interval, such as --freq D"
    if layout == "periods-across":
        return "give --layout periods-across to join them, or --layout wide for a series a column"
    return f"give --layout {layout}"


def _check_units(raw: RawTable, across: Across, found: Numbers) -> None:
    """Raise UserError if columns that hold one value are in different units."""
    units = dict[str, str]()
    for k, name in enumerate(across.columns):
        if not np.isnan(found.values[:, k]).all():
            units.setdefault(found.styles[name].unit, name)
    if len(units) > 1:
        (one, first), (other, second), *_ = units.items()
        raise UserError(
            f"{raw.path}: column '{first}' is written {with_unit(one)}, column '{second}' "
            f"{with_unit(other)}; write all in one unit"
        )


def _upright(raw: RawTable, columns: Columns, across: Across) -> tuple[RawTable, list[str]]:
    """The cells row by row, those without a value at both ends of a row left out."""
    found = numbers(raw, across.columns, columns)
    values = found.values
    _check_units(raw, across, found)
    times = across.times()
    beyond = np.argwhere(np.isnat(times) & ~np.isnan(values))
    if len(beyond):
        row, column = (int(place) for place in beyond[0])
        where = raw.where(row, across.columns[column])
        raise UserError(f"{where}: a value where there is no such time; remove it")
    inside = _between(values) if across.by_row else np.ones(values.size, bool)
    kept = np.flatnonzero(inside & ~np.isnat(times).ravel())
    rows = kept // len(across.columns)
    carried = {
        name: _taken(column, rows)
        for name, column in raw.columns.items()
        if name not in {*across.columns, *across.used, TIME, VALUE}
        and (name in (columns.item_id or ()) or _could_name(raw, name, column))
    }
    beside = [name for name in raw.columns if name not in {*across.columns, *across.used, *carried}]
    left_out = (
        [f"column {listed(beside)} left out: holds none of the times across"] if beside else []
    )
    if not carried and len(raw.places) > 1 and across.by_row:
        carried = {ROW: Text.of(str(raw.places[int(row)]) for row in rows)}
    upright: dict[str, Column] = {TIME: pd.DatetimeIndex(times.ravel()[kept])}
    upright_table = replace(
        raw,
        columns={**carried, **upright, VALUE: values.ravel()[kept]},
        places=np.array(raw.places[:])[rows].tolist(),
        header=(),
        delimiter="",
    )
    return upright_table, [*left_out, *found.decisions]


def _between(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which cells lie between the first and the last value of their row, as (rows · columns,)."""
    given = ~np.isnan(values)
    begun = np.maximum.accumulate(given, axis=1)
    to_come = np.maximum.accumulate(given[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(begun & to_come).ravel()


def _could_name(raw: RawTable, name: str, column: Column) -> bool:
    return is_words(column) or (names_series(name) and starts_whole(column))


def _taken(column: Column, rows: NDArray[np.int64]) -> Column:
    return Text(column.arrow.take(rows)) if isinstance(column, Text) else column[rows]
