"""Delimited text → names and columns of text, with the line of each row."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.cells import Text
from forecaster.data.files.coarser import annual_rows, coarser_rows
from forecaster.data.files.dialect import Dialect, find_dialect, shown
from forecaster.data.files.encoding import decode
from forecaster.data.files.footer import table_end, time_column
from forecaster.data.files.kinds import TOTAL
from forecaster.data.files.rows_of_text import Body, byte_of, named_lines, read_exactly, read_fast
from forecaster.errors import UserError


@dataclass(frozen=True)
class Delimited:
    """A delimited file's names and columns of text; ``lines[i]``: where row ``i`` starts.

    ``header_line``: of the names, 0 without one. ``decisions``: what was skipped.
    """

    names: list[str]
    columns: list[Text]
    lines: Sequence[int]
    delimiter: str
    header_line: int
    encoding: str
    decisions: tuple[str, ...]


def read_delimited(path: object, content: bytes, header: bool = True) -> Delimited:
    """Read the bytes of a file; raises UserError for rows of different widths.

    ``header``: whether there is a line of names.
    """
    content, encoding = decode(path, content)
    try:
        dialect = find_dialect(content, header)
        if dialect is None:
            raise UserError(
                f"{path}, line 1: only one column; the file needs a time column and a value "
                "column, separated by comma, semicolon, tab or bar"
            )
        begin = byte_of(content, dialect.first_line)
        end, below = table_end(content, begin, dialect)
        body = Body(content, begin, end, dialect)
        columns, lines, comments = read_fast(body) or read_exactly(path, body)
    except csv.Error as error:
        raise UserError(
            f"{path}: not a well-formed CSV file ({error}); check its quotes"
        ) from error
    names, columns, trailing = _without_blank(path, body, columns, lines)
    columns, lines, dropped = _without_repeated(names, columns, lines, dialect)
    if not len(lines):
        where = f"below line {dialect.header_line}" if header else "of data"
        raise UserError(f"{path}: there is a header but no data; add rows {where}")
    decisions = (*dialect.decisions, *comments, *below, *trailing, *dropped)
    return Delimited(
        names, columns, lines, dialect.delimiter, dialect.header_line, encoding, decisions
    )


def _without_blank(
    path: object, body: Body, columns: list[Text], lines: Sequence[int]
) -> tuple[list[str], list[Text], list[str]]:
    """Names and columns without those that have neither a name nor cells, as delimiters leave."""
    names, width = body.names, len(body.dialect.names)
    blank = [k for k, name in enumerate(names) if not name and _is_blank(columns[k])]
    if len(names) > width and width not in blank:
        row = pc.index(pc.not_equal(columns[-1].arrow, ""), True).as_py()
        raise UserError(
            f"{path}, line {lines[row]}: {len(names)} fields where the header has {width}; "
            "correct the line (a missing or an unquoted delimiter)"
        )
    if not blank or len(names) - len(blank) < 2:
        return names, columns, []
    kept = [k for k in range(len(names)) if k not in blank]
    where = "lines end with a delimiter" if blank == [len(names) - 1] else "delimiters in a row"
    said = [f"{where}: columns without a name and without cells are left out"]
    return [names[k] for k in kept], [columns[k] for k in kept], said


def _is_blank(column: Text) -> bool:
    return pc.index(pc.not_equal(column.arrow, ""), True).as_py() < 0


def _without_repeated(
    names: Sequence[str], columns: list[Text], lines: Sequence[int], dialect: Dialect
) -> tuple[list[Text], Sequence[int], list[str]]:
    """The rows without those that are blank, comments, totals, or the line of names again."""
    blank = _rows_of(columns, [""] * len(columns))
    none = blank[:0]
    again = _rows_of(columns, names) if dialect.header_line else none
    comments = none
    if dialect.kinds[0] == "plain":
        comments = np.flatnonzero(pc.starts_with(columns[0].arrow, "#"))
    totals = _totals(columns)
    coarser, periods = none, ""
    if len(columns) == 2:
        rows, periods = coarser_rows(columns[0])
        coarser = np.array(rows, np.int64)
    elif len(annual := annual_rows(names, [column.arrow for column in columns])):
        coarser, periods = annual, "years"
    kinds = {
        "blank": blank,
        "the names again": again,
        "comments": comments,
        f"totals ({_shown(columns, totals)})": totals,
        f"{periods}, beside shorter periods": coarser,
    }
    decisions = [
        f"{named_lines([lines[row] for row in rows.tolist()])} skipped: {kind}"
        for kind, rows in kinds.items()
        if len(rows)
    ]
    if not decisions:
        return columns, lines, []
    kept = np.delete(np.arange(len(lines)), np.concatenate(list(kinds.values())))
    columns = [Text(column.arrow.take(pa.array(kept))) for column in columns]
    return columns, [lines[row] for row in kept.tolist()], decisions


def _totals(columns: Sequence[Text]) -> NDArray[np.int64]:
    """The rows with the label of a total where others have their time."""
    place = time_column(column.head for column in columns)
    if place is None:
        return np.empty(0, np.int64)
    cells = columns[place].arrow
    return np.flatnonzero(pc.match_substring_regex(cells, TOTAL, ignore_case=True))


def _shown(columns: Sequence[Text], rows: NDArray[np.int64]) -> str:
    return shown([column[rows[0]] for column in columns]) if len(rows) else ""


def _rows_of(columns: Sequence[Text], cells: Sequence[str]) -> NDArray[np.int64]:
    """The rows that consist of these cells."""
    rows = np.flatnonzero(pc.equal(columns[0].arrow, cells[0]))
    for column, cell in zip(columns[1:], cells[1:], strict=True):
        if not len(rows):
            break
        rows = rows[np.asarray(pc.equal(column.arrow.take(pa.array(rows)), cell))]
    return rows
