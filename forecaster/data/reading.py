"""A file of any kind → columns of text or typed values, with the line or row of each."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from forecaster.data.cells import Column
from forecaster.data.files.arrow_files import read_arrow, read_folder, read_json, read_parquet
from forecaster.data.files.containers import WORKBOOKS, Opened, open_file, split_name
from forecaster.data.files.delimited import read_delimited
from forecaster.data.files.dialect import DELIMITERS
from forecaster.data.files.typed import column_of_arrow, column_of_series
from forecaster.data.files.workbooks import read_workbook
from forecaster.errors import UserError

_DATED = re.compile(r"\d{1,4}[-/.]\d")
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


_READERS: dict[str, tuple[str, Callable[[Opened], pa.Table | pd.DataFrame]]] = {
    ".parquet": ("Parquet", read_parquet),
    ".pq": ("Parquet", read_parquet),
    ".arrow": ("Arrow", read_arrow),
    ".ipc": ("Arrow", read_arrow),
    ".feather": ("Feather", read_arrow),
    ".json": ("JSON", read_json),
    ".jsonl": ("JSON", read_json),
    ".ndjson": ("JSON", read_json),
}


@dataclass(frozen=True)
class RawTable:
    """The cells of a file; ``places[i]``: the line (CSV) or row (others) of row ``i``.

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


def file_digest(source: str | Path) -> str:
    """SHA-256 in hexadecimal of a file's bytes, packed as they are; of all files of a folder."""
    path = Path(split_name(source)[0])
    if path.is_dir():
        return _folder_digest(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_digest(folder: Path) -> str:
    """SHA-256 of the names and the digests of all files in a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(folder)} {file_digest(file)}\n".encode())
    return digest.hexdigest()


def read_file(source: str | Path) -> RawTable:
    """Read a file by its kind, as its name or its first bytes tell: delimited text if neither does.

    ``source``: a path; ``FILE::MEMBER`` of an archive, ``FILE::SHEET`` of a workbook; a folder of
    Parquet files; ``-`` for standard input.
    """
    path, _ = split_name(source)
    if Path(path).is_dir():
        return _from_arrow(read_folder(path), path, file_digest(path), "Parquet files")
    opened = open_file(source)
    if not opened.content[:1000].strip() and not opened.content.strip():
        raise UserError(
            f"{opened.name}: the file is empty; it needs a header line and rows of data"
        )
    if opened.kind in WORKBOOKS:
        return _read_workbook(opened)
    if opened.part:
        raise UserError(f"{opened.name}: holds one table; leave '::{opened.part}' out")
    if opened.kind not in _READERS:
        return _read_csv(opened.name, opened.content, opened.digest)
    note, read = _READERS[opened.kind]
    found = read(opened)
    convert = _from_frame if isinstance(found, pd.DataFrame) else _from_arrow
    return convert(found, opened.name, opened.digest, note)


def _read_workbook(opened: Opened) -> RawTable:
    sheet = read_workbook(opened)
    _check_names(sheet.name, "row", sheet.names, sheet.header_row)
    return RawTable(
        sheet.name,
        dict(zip(sheet.names, sheet.columns, strict=True)),
        sheet.places,
        "row",
        opened.digest,
        ("workbook",),
        tuple(sheet.names),
        decisions=tuple(sheet.decisions),
    )


def _read_csv(path: str, content: bytes, digest: str) -> RawTable:
    found = read_delimited(path, content)
    delimiter = DELIMITERS.get(found.delimiter, found.delimiter)
    notes = [f"encoding {found.encoding}, delimiter {delimiter}"]
    _check_names(path, "line", found.names, found.header_line)
    columns: dict[str, Column] = dict(zip(found.names, found.columns, strict=True))
    if "" in columns:
        _drop_row_numbers(path, columns, notes)
    return RawTable(
        path,
        columns,
        found.lines,
        "line",
        digest,
        tuple(notes),
        tuple(found.names),
        found.delimiter,
        found.decisions,
    )


def _check_names(path: str, unit: str, names: list[str], line: int) -> None:
    if all(_NUMBER.fullmatch(name) or _DATED.match(name) for name in names):
        raise UserError(
            f"{path}, {unit} {line}: looks like data; put a {unit} of column names above it"
        )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise UserError(
            f"{path}, {unit} {line}: column '{repeated[0]}' occurs twice; give each its own name"
        )


def _drop_row_numbers(path: str, columns: dict[str, Column], notes: list[str]) -> None:
    """Drop a nameless column of row numbers, as data-frame libraries write it, and note it."""
    values = list(columns[""])
    if values in ([str(i + start) for i in range(len(values))] for start in (0, 1)):
        del columns[""]
        notes.append("a column without a name counts the rows: left out")
        return
    raise UserError(f"{path}, line 1: a column has no name; name every column in the header")


def read_frame(frame: pd.DataFrame, name: str) -> RawTable:
    """A table in memory, by the rules for files, without its index; ``name`` is for messages."""
    return _from_frame(frame, name, "", "table")


def _from_frame(frame: pd.DataFrame, name: str, digest: str, note: str) -> RawTable:
    labels = [str(label) for label in frame.columns]
    columns = (column_of_series(frame.iloc[:, i]) for i in range(len(labels)))
    return _typed(labels, columns, len(frame), name, digest, note)


def _from_arrow(table: pa.Table, name: str, digest: str, note: str) -> RawTable:
    columns = map(column_of_arrow, table.columns)
    return _typed(table.column_names, columns, table.num_rows, name, digest, note)


def _typed(
    labels: Sequence[str], columns: Iterable[Column], rows: int, name: str, digest: str, note: str
) -> RawTable:
    """A table of typed columns; raises UserError without rows, and for names that repeat."""
    if not rows or not labels:
        raise UserError(f"{name}: there are columns but no rows; add data")
    repeated = [label for label, count in Counter(labels).items() if count > 1]
    if repeated:
        raise UserError(f"{name}: column '{repeated[0]}' occurs twice; give each its own name")
    named = dict(zip(labels, columns, strict=True))
    return RawTable(name, named, range(1, rows + 1), "row", digest, (note,))
