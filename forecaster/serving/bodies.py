"""The body of a request → a table and parameters, within the limits."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.reading import RawTable, read_bytes
from forecaster.errors import UserError
from forecaster.serving.limits import (
    CELLS,
    COLUMNS,
    ODD_CELL,
    RefusedError,
    check_size,
    check_tables,
)
from forecaster.serving.messages import CSV, JSON
from forecaster.serving.parquet import read_parquet

NAME = "the table"
_DELIMITERS = b",;\t|"
_NAMED = re.compile(rb'"?sep=(.)')  # a first line that names the delimiter
_TABLES = {"dataframe_split", "dataframe_records"}
_NO_TABLE = "not a table: post it as dataframe_split or dataframe_records"
_PLAIN = frozenset({str, int, float, bool, type(None)})


def read_body(kind: bytes, body: bytes, header: bool) -> tuple[RawTable | pd.DataFrame, Any]:
    """The table and the parameters of a body. ``header``: whether CSV begins with names.

    Raises RefusedError beyond the limits, UserError for what is no table.
    """
    if kind == CSV:
        check_size(*_shape_of_csv(body))
        return read_bytes(NAME, body, header), {}
    return _of_json(body) if kind == JSON else (read_parquet(NAME, body), {})


def _shape_of_csv(body: bytes) -> tuple[int, int]:
    """The number of lines, and the most cells of one, by any delimiter."""
    marks = np.frombuffer(body, np.uint8)
    named = _NAMED.search(body[:200].replace(b"\x00", b""))
    delimiters = np.isin(marks, [*_DELIMITERS, *(named[1] if named else b"")])
    quoted = np.logical_xor.accumulate(marks == ord('"'))
    ends = np.flatnonzero(((marks == ord("\n")) | (marks == ord("\r"))) & ~quoted)
    before: NDArray[np.int64] = np.searchsorted(np.flatnonzero(delimiters), ends)
    counts = np.diff(before, prepend=0, append=np.count_nonzero(delimiters))
    return len(counts), int(counts.max()) + 1


def _of_json(body: bytes) -> tuple[pd.DataFrame, Any]:
    """A table in one of MLflow's two forms, and its ``params``."""
    if sum(body.count(mark) for mark in (b"[", b"{", b",", b":")) > 2 * CELLS:
        raise RefusedError(413, f"JSON of more than {2 * CELLS} values; send less of it at a time")
    try:
        content = json.loads(body)
        if b"\\ud" in body.lower():
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError as error:
        raise UserError("not JSON that holds a table (nested too deeply); correct it") from error
    except ValueError as error:  # also a letter that no text can hold
        raise UserError("the body is not valid JSON in UTF-8; correct it") from error
    given = _TABLES & content.keys() if isinstance(content, dict) else set()
    if len(given) != 1:
        raise UserError(_NO_TABLE)
    (form,) = given
    params = content.get("params")
    if not isinstance(params, dict | None):
        raise UserError('params: not an object; write {"mode": "point"}')
    return (_of_split if form == "dataframe_split" else _of_records)(content[form]), params or {}


def _of_split(content: Any) -> pd.DataFrame:
    if not isinstance(content, dict) or not content.keys() <= {"columns", "data", "index"}:
        raise UserError("dataframe_split: not an object of columns, data and index; correct it")
    names, rows, index = content.get("columns"), content.get("data"), content.get("index")
    if not _is_row(names) or not isinstance(rows, list):
        raise UserError("dataframe_split: columns and data have to be lists; correct it")
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise UserError("dataframe_split: a row of data without a cell for each column; correct it")
    if index is not None and not (_is_row(index) and len(index) == len(rows)):
        raise UserError("dataframe_split: index is not a plain value for each row; correct it")
    check_size(len(rows), len(names))
    _check_cells(rows)
    with _whole_numbers():
        return pd.DataFrame(rows, index=index, columns=names)


def _of_records(content: Any) -> pd.DataFrame:
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise UserError("dataframe_records: not a list of objects; correct it")
    names: dict[str, None] = {}
    for row in content:
        names |= dict.fromkeys(row)
        if len(names) > COLUMNS:
            break
    check_size(len(content), len(names))
    _check_cells(row.values() for row in content)
    with _whole_numbers():
        return pd.DataFrame(content, columns=list(names))


@contextmanager
def _whole_numbers() -> Iterator[None]:
    try:
        yield
    except OverflowError as error:
        raise UserError("the table: a whole number is above 1e308; correct it") from error


def _is_row(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and set(map(type, value)) <= _PLAIN


def _check_cells(rows: Any) -> None:
    """Raise UserError for a cell that is neither a plain value nor a list of plain values."""
    tables = 0
    for row in rows:
        if set(map(type, row)) - _PLAIN:
            tables += 1
            check_tables(tables)
            if not all(_is_row(cell) for cell in row if type(cell) not in _PLAIN):
                raise UserError(ODD_CELL)
