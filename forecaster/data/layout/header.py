"""The names of a table's columns: whether they are names, and of columns that have none."""

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from forecaster.config.schema import Columns
from forecaster.data.cells import Column
from forecaster.data.layout.time_names import has_shape_of_time, is_time
from forecaster.data.missing import is_missing
from forecaster.data.reading import RawTable
from forecaster.data.timestamps import looks_like_time
from forecaster.errors import UserError

Kind = Literal["blank", "number", "time", "text"]

_NUMBER = re.compile(
    r"[-+(]?\s?[$€£¥]?\s?[-+]?(\d[\d.,'’\s]*|[.,]\d+)(e[-+]?\d+)?\s?[%€]?\)?", re.I
)
_FEWEST = 3  # rising numbers that can be names of columns


def with_names(raw: RawTable, columns: Columns) -> RawTable:
    """The table with a name for every column; raises UserError for names that are data or repeat.

    A column without a name is called ``Unnamed: 0`` by its place, as data-frame libraries do.
    """
    header = raw.header or tuple(raw.columns)
    if _is_data(header, list(raw.columns.values()), columns):
        raise UserError(_not_named(raw, header))
    repeated = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if repeated:
        raise UserError(
            f"{_place(raw)}: column '{repeated[0]}' occurs twice; give each its own name"
        )
    names = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    return dataclasses.replace(raw, columns=dict(zip(names, raw.columns.values(), strict=True)))


def _place(raw: RawTable) -> str:
    return f"{raw.path}, {raw.unit} {raw.header_line}" if raw.header_line else raw.path


def _not_named(raw: RawTable, header: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in header[:4]) + (", …" if len(header) > 4 else "")
    if raw.header_line:
        return (
            f"{_place(raw)}: {shown} look like a row of data, not like names; give --no-header, "
            "by which columns are called column_1, column_2, …, "
            f"or put a {raw.unit} of names above it"
        )
    return (
        f"{raw.path}: the names of its columns, {shown}, look like a row of data; read it with "
        "header=None, or rename them"
    )


def _is_data(header: Sequence[str], columns: Sequence[Column], given: Columns) -> bool:
    """Whether the names are of the kinds of the cells below them.

    A time above times tells it alone, a name above numbers or times denies it. Three or more
    numbers that rise are names: of years, of hours.
    """
    pairs = list(zip(header, columns, strict=True))
    shaped = [(name, column) for name, column in pairs if has_shape_of_time(name)]
    if any(_kind_of(column, given) == "time" and is_time(name, given) for name, column in shaped):
        return True
    numbers = []
    for name, column in pairs:
        above, below = _kind(name), _kind_of(column, given)
        known = "blank" not in {above, below}
        if {above, below} == {"blank", "time"} or (known and above != below):
            return False
        numbers += [name] * (above == below == "number")
    return bool(numbers) and (len(numbers) < _FEWEST or not _rise(numbers))


def _rise(cells: Sequence[str]) -> bool:
    try:
        return bool((np.diff([float(cell.replace(",", ".")) for cell in cells]) > 0).all())
    except ValueError:
        return False


def _kind_of(column: Column, given: Columns) -> Kind:
    if isinstance(column, pd.DatetimeIndex):
        return "time"
    if isinstance(column, np.ndarray):
        return "number"
    kinds = {_kind(cell) for cell in column.present}
    if (
        kinds - {"number"}
        and is_time(column.present[0], given)
        and looks_like_time("", column, given)
    ):
        return "time"
    return kinds.pop() if len(kinds) == 1 else "text" if kinds else "blank"


def _kind(cell: str) -> Kind:
    """Of a cell that is no time."""
    if is_missing(cell):
        return "blank"
    return "number" if _NUMBER.fullmatch(cell) and cell.count(".") < 2 else "text"
