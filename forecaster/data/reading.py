"""A CSV or Parquet file → columns of text or typed values, with the line or row of each."""

import hashlib
import io
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forecaster.data.cells import Column, Text
from forecaster.data.files.delimited import read_delimited
from forecaster.data.files.dialect import DELIMITERS
from forecaster.errors import UserError

_DATED = re.compile(r"\d{1,4}[-/.]\d")
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class RawTable:
    """The cells of a file; ``places[i]``: the line (CSV) or row (Parquet) of row ``i``.

    ``notes``: about its format; ``decisions``: what was skipped.
    """

    path: str
    columns: dict[str, Column]
    places: Sequence[int]
    unit: str
    digest: str
    notes: tuple[str, ...]
    header: tuple[str, ...] = ()
    delimiter: str = ""
    decisions: tuple[str, ...] = ()

    def where(self, row: int, column: str | None = None) -> str:
        """The place of a cell in words: ``data.csv, line 7, column 'x'``."""
        place = f"{self.path}, {self.unit} {self.places[row]}"
        return place if column is None else f"{place}, column '{column}'"


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_file(path: str | Path) -> RawTable:
    """Read ``path`` (``.parquet`` by its ending, anything else as delimited text)."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise UserError(f"{path}: not a file; give the path of a CSV or Parquet file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    if not content[:1000].strip() and not content.strip():
        raise UserError(f"{path}: the file is empty; it needs a header line and rows of data")
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _read_parquet(path, content, digest)
    return _read_csv(path, content, digest)


def _read_csv(path: Path, content: bytes, digest: str) -> RawTable:
    found = read_delimited(path, content)
    delimiter = DELIMITERS.get(found.delimiter, found.delimiter)
    notes = [f"encoding {found.encoding}, delimiter {delimiter}"]
    _check_names(path, found.names, found.header_line)
    columns: dict[str, Column] = dict(zip(found.names, found.columns, strict=True))
    if "" in columns:
        _drop_row_numbers(path, columns, notes)
    return RawTable(
        str(path),
        columns,
        found.lines,
        "line",
        digest,
        tuple(notes),
        tuple(found.names),
        found.delimiter,
        found.decisions,
    )


def _check_names(path: Path, names: list[str], line: int) -> None:
    if all(_NUMBER.fullmatch(name) or _DATED.match(name) for name in names):
        raise UserError(
            f"{path}, line {line}: looks like data; put a line of column names above it"
        )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(
            f"{path}, line {line}: column '{repeated[0]}' occurs twice; give each its own name"
        )


def _drop_row_numbers(path: Path, columns: dict[str, Column], notes: list[str]) -> None:
    """Drop a nameless column of row numbers, as data-frame libraries write it, and note it."""
    values = list(columns[""])
    if values in ([str(i + start) for i in range(len(values))] for start in (0, 1)):
        del columns[""]
        notes.append("a column without a name counts the rows: left out")
        return
    raise UserError(f"{path}, line 1: a column has no name; name every column in the header")


def _read_parquet(path: Path, content: bytes, digest: str) -> RawTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        frame = pq.read_table(io.BytesIO(content)).to_pandas()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path}: not a readable Parquet file ({reason}); write it again"
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    return _from_frame(frame, str(path), digest, "Parquet")


def read_frame(frame: pd.DataFrame, name: str) -> RawTable:
    """A table in memory, by the rules for files, without its index; ``name`` is for messages."""
    return _from_frame(frame, name, "", "table")


def _from_frame(frame: pd.DataFrame, name: str, digest: str, note: str) -> RawTable:
    if frame.empty:
        raise UserError(f"{name}: there are columns but no rows; add data")
    labels = [str(label) for label in frame.columns]
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        raise UserError(f"{name}: column '{repeated[0]}' occurs twice; give each its own name")
    columns = {label: _cells(frame.iloc[:, i]) for i, label in enumerate(labels)}
    places = range(1, len(frame) + 1)
    return RawTable(name, columns, places, "row", digest, (note,))


def _cells(values: pd.Series) -> Column:
    """A column of a frame; integers become text, as in a CSV file: they may be years or items."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.DatetimeIndex(values)
    if pd.api.types.is_float_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if pd.api.types.is_integer_dtype(values):
        whole = pa.chunked_array([pa.array(values, from_pandas=True)])
        return Text(pc.fill_null(whole.cast(pa.string()), ""))
    return Text.of("" if _is_blank(value) else str(value).strip() for value in values)


def _is_blank(value: object) -> bool:
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or (isinstance(value, float) and math.isnan(value))
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
