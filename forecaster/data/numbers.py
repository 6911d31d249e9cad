"""Columns of a table as numbers."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.cells import Column, Text
from forecaster.data.reading import RawTable
from forecaster.errors import UserError

LARGEST = 1e36  # below float32's maximum of 3e38, so that sums do not overflow
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-"})
_SPELLINGS = sorted({f(code) for code in MISSING for f in (str.lower, str.upper, str.capitalize)})
_AT_ONCE = 1 << 20  # cells converted at once
_PROBE = 20  # rows that mostly tell whether a column is text


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a missing value: blank, NA, NaN, null, none or ``-``."""
    return cell.lower() in MISSING


def is_text(column: Column, decimal: str) -> bool:
    """Whether a column has values, none of which is a number."""
    if not isinstance(column, Text):
        return False
    return _all_words(column[:_PROBE], decimal) is not False and bool(_all_words(column, decimal))


def _all_words(cells: Sequence[str], decimal: str) -> bool | None:
    """Whether all cells but missing ones are no numbers; None without any."""
    present = {cell for cell in cells if not is_missing(cell)}
    return not any(_is_number(_with_point(cell, decimal)) for cell in present) if present else None


def numbers(raw: RawTable, names: Sequence[str]) -> NDArray[np.float64]:
    """Columns as float64 (n, K), nan where a value is missing; raises UserError for other cells."""
    values = np.empty((len(raw.places), len(names)))
    for begin, end in _batches(raw, names):
        batch = names[begin:end]
        texts = [column for name in batch if isinstance(column := raw.columns[name], Text)]
        if len(texts) == len(batch) and (found := _plain_numbers(texts)) is not None:
            values[:, begin:end] = found.reshape(len(texts), -1).T
            continue
        for k in range(begin, end):
            values[:, k] = _column(raw, names[k])
    largest = np.maximum(np.fmax.reduce(values), -np.fmin.reduce(values))
    for name, size, column in zip(names, largest.tolist(), values.T):
        if size > LARGEST:
            _check_size(raw, name, column)
    return values


def _batches(raw: RawTable, names: Sequence[str]) -> Iterator[tuple[int, int]]:
    width = max(1, _AT_ONCE // max(len(raw.places), 1))
    for begin in range(0, len(names), width):
        yield begin, min(begin + width, len(names))


def _plain_numbers(columns: Sequence[Text]) -> NDArray[np.float64] | None:
    """The cells of columns, one after the other; None if one is neither a number nor missing."""
    cells = pa.chunked_array([chunk for column in columns for chunk in column.arrow.chunks])
    missing = pc.is_in(cells, value_set=pa.array(_SPELLINGS))
    try:
        if pc.any(missing).as_py():
            cells = pc.if_else(missing, "nan", cells)
        return cells.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None


def _column(raw: RawTable, name: str) -> NDArray[np.float64]:
    column = raw.columns[name]
    if isinstance(column, pd.DatetimeIndex):
        raise UserError(
            f"{raw.path}, column '{name}': holds dates, not numbers; name the values with --target"
        )
    if isinstance(column, np.ndarray):
        return column
    plain = _plain_numbers([column])
    return _from_text(raw, name, column) if plain is None else plain


def _check_size(raw: RawTable, name: str, values: NDArray[np.float64]) -> None:
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        where = raw.where(int(infinite[0]), name)
        raise UserError(
            f"{where}: an infinite value; replace it by a number, or leave it blank for missing"
        )
    large = np.flatnonzero(np.abs(values) > LARGEST)
    if len(large):
        row = int(large[0])
        raise UserError(
            f"{raw.where(row, name)}: {values[row]:g} is beyond {LARGEST:g}, too large to compute "
            "with; correct it, or leave it blank for missing"
        )


def _from_text(raw: RawTable, name: str, column: Text) -> NDArray[np.float64]:
    cells = ["nan" if is_missing(cell) else _with_point(cell, raw.decimal) for cell in column]
    try:
        return np.array([float(cell) for cell in cells], dtype=np.float64)
    except ValueError:
        row = next(i for i, cell in enumerate(cells) if not _is_number(cell))
    raise UserError(
        f"{raw.where(row, name)}: '{column[row]}' is not a number; correct it, leave it blank for "
        "missing, or choose the value columns with --target"
    )


def _with_point(cell: str, decimal: str) -> str:
    return cell.replace(",", ".") if decimal == "," else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
