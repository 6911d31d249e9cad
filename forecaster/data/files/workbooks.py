"""Sheets of workbooks (Excel, OpenDocument) → names and typed columns."""

import datetime
import io
import re
import shlex
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecaster.config.program import install_extra
from forecaster.data.cells import Column
from forecaster.data.files.coarser import coarser_rows
from forecaster.data.files.containers import Opened, unreadable
from forecaster.data.files.dialect import ROWS, Dialect, Row, lines_of, shown, structure
from forecaster.data.files.footer import last_row, time_column
from forecaster.data.files.kinds import is_total
from forecaster.data.files.rows_of_text import named_lines
from forecaster.data.files.typed import column_of_objects, text_of
from forecaster.data.files.workbook_size import check_size
from forecaster.data.missing import is_missing
from forecaster.errors import UserError

_OPEN = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
_NAMED = 5  # sheets that a message names
_HEAD = 20  # rows that tell the column of times


@dataclass(frozen=True)
class Sheet:
    """The names and columns of a sheet; ``places[i]``: the sheet's row of row ``i``."""

    name: str
    names: list[str]
    columns: list[Column]
    places: list[int]
    header_row: int
    decisions: list[str]


def read_workbook(opened: Opened, header: bool = True) -> Sheet:
    """The sheet that is named behind ``::``, or the only one that is not empty."""
    try:
        import python_calamine as calamine
    except ImportError as error:
        raise UserError(
            f"{opened.name}: workbooks need a further package; install it with: "
            f"{install_extra('excel')}"
        ) from error
    try:
        check_size(opened)
        with calamine.load_workbook(io.BytesIO(opened.content)) as workbook:
            name, first, values = _sheet(opened, workbook)
    except (calamine.CalamineError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise unreadable(opened.name, "workbook", error) from error
    return _table(f"{opened.name}::{name}", first, values, header)


def _sheet(opened: Opened, workbook: Any) -> tuple[str, int, list[list[object]]]:
    """The name, the first row and the values of the sheet that is meant."""
    names = workbook.sheet_names
    if opened.part and opened.part not in names:
        raise UserError(f"{opened.name}: no sheet '{opened.part}'; it has {_listed(names)}")
    sheets = [workbook.get_sheet_by_name(n) for n in names if opened.part in {"", n}]
    filled = [sheet for sheet in sheets if sheet.height]
    if not filled:
        raise UserError(f"{opened.name}: the workbook is empty; it needs names and rows of data")
    if len(filled) > 1:
        likely = max(filled, key=lambda sheet: sheet.height * sheet.width)
        raise UserError(
            f"{opened.name}: {len(filled)} sheets ({_listed([s.name for s in filled])}); name one: "
            f"--csv {shlex.quote(f'{opened.name}::{likely.name}')}"
        )
    return filled[0].name, filled[0].start[0] + 1, filled[0].to_python()


def _listed(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:_NAMED]) + more


def _table(name: str, first: int, values: list[list[object]], header: bool) -> Sheet:
    texts = [[text_of(value) for value in row] for row in values]
    rows = [Row(first + i, first + i + 1, cells) for i, cells in enumerate(texts) if any(cells)]
    if not rows or len(rows[0].cells) < 2:
        raise UserError(f"{name}: only one column; a time column and a value column are needed")
    dialect = structure(rows[:ROWS], "", header)
    table = [row for row in rows if row.line >= dialect.first_line]
    last = last_row(table, dialect)
    times = time_column(zip(*(row.cells for row in table[:_HEAD]), strict=True))
    coarser = _coarser(table[:last], dialect)
    inside = {
        row.line: row.line not in coarser and _is_row(row, dialect, times) for row in table[:last]
    }
    places = [line for line, kept in inside.items() if kept]
    if not places:
        raise UserError(f"{name}: there is a header but no data; add rows")
    decisions = [
        *dialect.decisions,
        *(
            f"{_place(row)} skipped: {shown(row.cells)}"
            for row in table[:last]
            if not inside[row.line] and row.line not in coarser
        ),
        *(dict.fromkeys(coarser.values())),
        *(f"{_place(row)} skipped, below the table: {shown(row.cells)}" for row in table[last:]),
    ]
    body = [values[line - first] for line in places]
    columns = {
        k: _column(f"{name}, column '{label}'", places, cells)
        for k, (label, cells) in enumerate(zip(dialect.names, zip(*body, strict=True), strict=True))
        if label or any(map(text_of, cells))
    }
    return Sheet(
        name,
        [dialect.names[k] for k in columns],
        [*columns.values()],
        places,
        dialect.header_line,
        [text.replace("line", "row", 1) for text in decisions],
    )


def _coarser(rows: Sequence[Row], dialect: Dialect) -> dict[int, str]:
    """What is said of the rows of longer periods than others, by line."""
    if dialect.width != 2:
        return {}
    found, periods = coarser_rows([row.cells[0] for row in rows])
    lines = [rows[i].line for i in found]
    return dict.fromkeys(lines, f"{named_lines(lines)} skipped: {periods}, beside shorter periods")


def _is_row(row: Row, dialect: Dialect, times: int | None) -> bool:
    if times is not None and is_total(row.cells[times]):
        return False
    return row.cells != dialect.names and not dialect.is_comment(row)


def _place(row: Row) -> str:
    return lines_of(row.line, row.line)


def _column(name: str, places: Sequence[int], values: Sequence[object]) -> Column:
    """A column of one type; whole numbers become text, for they may be years or items."""
    blank = [value is None or (isinstance(value, str) and is_missing(value)) for value in values]
    kinds = {type(value) for value, missing in zip(values, blank, strict=True) if not missing}
    present = [None if missing else value for value, missing in zip(values, blank, strict=True)]
    if kinds and kinds <= {int, float}:
        numbers = np.array(present, np.float64)
        if not np.array_equal(numbers, np.trunc(numbers), equal_nan=True):
            return numbers
    if kinds and kinds <= {datetime.datetime, datetime.date}:
        try:
            return pd.DatetimeIndex(present)
        except pd.errors.OutOfBoundsDatetime:
            return column_of_objects(values)
    if str in kinds and float in kinds:
        _check_marks(name, places, values)
    return column_of_objects(values)


def _check_marks(name: str, places: Sequence[int], values: Sequence[object]) -> None:
    """Raise UserError for a text such as ``1,234``: the numbers beside it have no marks to tell."""
    for place, value in zip(places, values, strict=True):
        if isinstance(value, str) and _OPEN.fullmatch(value.strip()):
            raise UserError(
                f"{name}, row {place}: '{value}' is a text, which could be a thousand or more, or "
                "a few with three decimals; make it a number in the workbook"
            )
