"""The newest rows of a series, as a streaming forecast reads them, and what is known ahead."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forecaster.data.covariates import Covariate
from forecaster.data.encoding import ColumnCode
from forecaster.data.rows import Row, RowFormat
from forecaster.data.tables import Series, Table, longer
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel


def last_rows(series: Series, table: Table, rows: int) -> Series:
    """The last rows of a series, or all of them, and the future of its known covariates."""
    begin = max(len(series.values) - rows, 0)
    return series.between(begin, len(series.values), table.interval.stamp(series.first, begin))


def with_row(
    series: Series,
    values: NDArray[np.float64],
    row: Row,
    gap: Sequence[float],
    columns: Sequence[Covariate],
) -> Series:
    """The series with a further row, whose values (K,) are in the model's order, after skipped
    ones with the values of ``gap``.

    What the row leaves blank of the known covariates, ``columns``, is as it was known before.
    """
    skipped = len(gap)
    place = len(series.values) + skipped
    known = longer(series.known, max(place + 1 - len(series.known), 0), np.nan).copy()
    past = longer(series.past, skipped + 1, np.nan)
    given, of_past, _ = np.split(row.covariates, np.cumsum([known.shape[1], past.shape[1]]))
    readable = np.array([each.name not in row.new for each in columns], dtype=bool)
    blank = np.isnan(given) & readable
    known[place] = np.where(blank, known[place], given)
    past[-1] = of_past
    rows = longer(series.values, skipped + 1, np.nan)
    rows[len(series.values) : -1] = np.reshape(gap, (-1, 1))
    rows[-1] = values
    put_in = series.put_in_until(place + 1)
    if len(put_in):
        put_in[place] = False
    return replace(series, values=rows, known=known, past=past, put_in=put_in)


def check_static(table: Table, series: Series, row: Row) -> None:
    """Raise UserError for a row with another static value than its series has."""
    columns = table.covariates
    static = row.covariates[len(columns.known) + len(columns.past) :]
    for column, given, usual in zip(columns.static, static, series.static, strict=False):
        if column.name in row.new or not (np.isnan(given) or given == usual):
            raise UserError(
                f"{row.where}, column '{column.name}': not as in {table.path}, but --static "
                "columns stay the same in a series; correct it, or leave it blank"
            )


def with_model_texts(table: Table, saved: SavedModel) -> Table:
    """The table with all texts of the model, which further rows can hold."""
    encoding, given = saved.encoding, table.covariates
    if encoding is None:
        return table
    known, past = _wider(given.known, encoding.known), _wider(given.past, encoding.past)
    return replace(table, covariates=replace(given, known=known, past=past))


def _wider(columns: tuple[Covariate, ...], codes: tuple[ColumnCode, ...]) -> tuple[Covariate, ...]:
    texts = {code.name: code.levels for code in codes if code.levels is not None}
    return tuple(
        each
        if each.name not in texts
        else replace(each, levels=tuple(dict.fromkeys((*(each.levels or ()), *texts[each.name]))))
        for each in columns
    )


def format_of(table: Table, rows: RowFormat) -> RowFormat:
    """The format of a file's further rows with the texts of the table's covariates."""
    static = table.covariates.static[: len(rows.covariates.static)]
    return replace(rows, covariates=replace(table.covariates, static=static))
