"""A CSV or Parquet file → columns of text or typed values, with the line or row of each.

Only the encoding, the delimiter and the decimal mark are interpreted here.
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.errors import UserError

LARGEST = 1e36  # below float32's maximum of 3e38, so that sums do not overflow
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-"})
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

Column = list[str] | NDArray[np.float64] | pd.DatetimeIndex


@dataclass(frozen=True)
class RawTable:
    """The cells of a file; ``places[i]``: the line (CSV) or row (Parquet) of row ``i``."""

    path: str
    columns: dict[str, Column]
    places: NDArray[np.int64]
    unit: str
    decimal: str
    digest: str
    notes: tuple[str, ...]
    header: tuple[str, ...] = ()
    delimiter: str = ""

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
    if not content.strip():
        raise UserError(f"{path}: the file is empty; it needs a header line and rows of data")
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix.lower() in {".parquet", ".pq"}:
        return _read_parquet(path, content, digest)
    return _read_csv(path, content, digest)


def _decode(path: Path, content: bytes) -> tuple[str, str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif content.startswith(b"\xef\xbb\xbf"):
        encodings = ["utf-8-sig"]
    else:
        encodings = ["utf-8", "latin-1"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" in text:
            break
        return text, encoding
    raise UserError(
        f"{path}: not a text file; give a CSV file (UTF-8 or Latin-1) or a .parquet file"
    )


def _parse(text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """The rows, each with the line it starts on; blank lines are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows, line = [], 1
    for row in reader:
        if row and not (len(row) == 1 and not row[0].strip()):
            rows.append((line, [cell.strip() for cell in row]))
        line = reader.line_num + 1
    return rows


def _find_delimiter(text: str) -> str | None:
    """The delimiter with the most columns in the first lines, if possible the same in all lines."""
    head = "\n".join(line for line in text.splitlines()[:40] if line.strip())
    best: tuple[bool, int, str] = (False, 1, "")
    for delimiter in DELIMITERS:
        widths = [len(row) for _, row in _parse(head, delimiter)]
        if widths:
            best = max(
                best,
                (len(set(widths)) == 1 and widths[0] > 1, widths[0], delimiter),
                key=lambda b: b[:2],
            )
    return best[2] or None


def _read_csv(path: Path, content: bytes, digest: str) -> RawTable:
    text, encoding = _decode(path, content)
    try:
        delimiter = _find_delimiter(text)
        rows = [] if delimiter is None else _parse(text, delimiter)
    except csv.Error as error:
        raise UserError(
            f"{path}: not a well-formed CSV file ({error}); check its quotes"
        ) from error
    if delimiter is None:
        raise UserError(
            f"{path}, line 1: only one column; the file needs a time column and a value "
            "column, "
            "separated by comma, semicolon, tab or bar"
        )
    (header_line, names), body = rows[0], rows[1:]
    notes = [f"encoding {encoding}, delimiter {DELIMITERS[delimiter]}"]
    _check_shape(path, names, header_line, body)
    places = np.array([line for line, _ in body], dtype=np.int64)
    cells = dict(zip(names, zip(*(row for _, row in body), strict=True), strict=True))
    columns: dict[str, Column] = {name: list(values) for name, values in cells.items()}
    if "" in columns:
        _drop_row_numbers(path, columns, notes)
    decimal = _find_decimal(columns, delimiter)
    if decimal == ",":
        notes.append("decimal comma")
    return RawTable(
        str(path), columns, places, "line", decimal, digest, tuple(notes), tuple(names), delimiter
    )


def _check_shape(
    path: Path, names: list[str], header_line: int, body: list[tuple[int, list[str]]]
) -> None:
    if all(
        _is_number(name.replace(",", ".")) or re.match(r"\d{1,4}[-/.]\d", name) for name in names
    ):
        raise UserError(
            f"{path}, line {header_line}: looks like data; put a line of column names above it"
        )
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise UserError(
            f"{path}, line {header_line}: column '{repeated[0]}' occurs twice; give each its own "
            "name"
        )
    if not body:
        raise UserError(f"{path}: there is a header but no data; add rows below line {header_line}")
    for line, row in body:
        if len(row) != len(names):
            raise UserError(
                f"{path}, line {line}: {len(row)} fields where the header has {len(names)}; "
                "correct the line (a missing or an unquoted delimiter)"
            )


def _drop_row_numbers(path: Path, columns: dict[str, Column], notes: list[str]) -> None:
    """Drop a nameless column of row numbers, as data-frame libraries write it, and note it."""
    values = list(columns[""])
    for start in ("0", "1"):
        if values == [str(i + int(start)) for i in range(len(values))]:
            del columns[""]
            notes.append("a column without a name counts the rows: left out")
            return
    raise UserError(f"{path}, line 1: a column has no name; name every column in the header")


def _find_decimal(columns: dict[str, Column], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    comma = re.compile(r"[+-]?\d*,\d+")
    point = re.compile(r"[+-]?\d*\.\d+")
    cells = [str(cell) for column in columns.values() for cell in column]
    has_comma = any(comma.fullmatch(cell) for cell in cells)
    return "," if has_comma and not any(point.fullmatch(cell) for cell in cells) else "."


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
    repeated = [label for i, label in enumerate(labels) if label in labels[:i]]
    if repeated:
        raise UserError(f"{name}: column '{repeated[0]}' occurs twice; give each its own name")
    columns = {label: _cells(frame.iloc[:, i]) for i, label in enumerate(labels)}
    places = np.arange(1, len(frame) + 1, dtype=np.int64)
    return RawTable(name, columns, places, "row", ".", digest, (note,))


def _cells(values: pd.Series) -> Column:
    """A column of a frame; integers become text, as in a CSV file: they may be years or items."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.DatetimeIndex(values)
    if pd.api.types.is_float_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return ["" if _is_blank(value) else str(value).strip() for value in values]


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


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a missing value: blank, NA, NaN, null, none or ``-``."""
    return cell.lower() in MISSING


def is_text(column: Column, decimal: str) -> bool:
    """Whether a column has values, none of which is a number."""
    if not isinstance(column, list):
        return False
    present = [cell for cell in column if not is_missing(cell)]
    return bool(present) and not any(_is_number(_with_point(cell, decimal)) for cell in present)


def _with_point(cell: str, decimal: str) -> str:
    return cell.replace(",", ".") if decimal == "," else cell


def numbers(raw: RawTable, name: str) -> NDArray[np.float64]:
    """A column as float64 (n,), nan where a value is missing; raises UserError for other cells."""
    column = raw.columns[name]
    if isinstance(column, pd.DatetimeIndex):
        raise UserError(
            f"{raw.path}, column '{name}': holds dates, not numbers; name the values with --target"
        )
    values = column if isinstance(column, np.ndarray) else _numbers_from_text(raw, name, column)
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
            "with; correct it, or "
            "leave it blank for missing"
        )
    return values


def _numbers_from_text(raw: RawTable, name: str, column: Sequence[str]) -> NDArray[np.float64]:
    cells = ["nan" if is_missing(cell) else _with_point(cell, raw.decimal) for cell in column]
    try:
        return np.array([float(cell) for cell in cells], dtype=np.float64)
    except ValueError:
        row = next(i for i, cell in enumerate(cells) if not _is_number(cell))
    raise UserError(
        f"{raw.where(row, name)}: '{column[row]}' is not a number; correct it, leave it blank for "
        "missing, "
        "or choose the value columns with --target"
    )
