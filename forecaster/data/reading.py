"""A file of any kind → columns of text or typed values, with the line or row of each."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from forecaster.data.cells import Column
from forecaster.data.files.arrow_files import (
    index_first,
    read_arrow,
    read_folder,
    read_json,
    read_parquet,
)
from forecaster.data.files.containers import WORKBOOKS, Opened, open_file, split_name
from forecaster.data.files.delimited import read_delimited
from forecaster.data.files.dialect import DELIMITERS
from forecaster.data.files.typed import column_of_arrow, column_of_series
from forecaster.data.files.workbooks import read_workbook
from forecaster.errors import UserError

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
    header_line: int = 0

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


def read_file(source: str | Path, header: bool = True) -> RawTable:
    """Read a file by its kind, as its name or its first bytes tell: delimited text if neither does.

    ``source``: a path; ``FILE::MEMBER`` of an archive, ``FILE::SHEET`` of a workbook; a folder of
    Parquet files; ``-`` for standard input. ``header``: whether delimited text and workbooks
    begin with names.
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
        return _read_workbook(opened, header)
    if opened.part:
        raise UserError(f"{opened.name}: holds one table; leave '::{opened.part}' out")
    if opened.kind not in _READERS:
        return _read_csv(opened.name, opened.content, opened.digest, header)
    note, read = _READERS[opened.kind]
    found = read(opened)
    convert = _from_frame if isinstance(found, pd.DataFrame) else _from_arrow
    return convert(found, opened.name, opened.digest, note)


def _read_workbook(opened: Opened, header: bool) -> RawTable:
    sheet = read_workbook(opened, header)
    return RawTable(
        sheet.name,
        dict(zip(_unique(sheet.names), sheet.columns, strict=True)),
        sheet.places,
        "row",
        opened.digest,
        ("workbook", *_unnamed(header)),
        tuple(sheet.names) if header else (),
        header_line=sheet.header_row,
        decisions=tuple(sheet.decisions),
    )


def _read_csv(path: str, content: bytes, digest: str, header: bool) -> RawTable:
    found = read_delimited(path, content, header)
    delimiter = DELIMITERS.get(found.delimiter, found.delimiter)
    notes = [f"encoding {found.encoding}, delimiter {delimiter}", *_unnamed(header)]
    columns: dict[str, Column] = dict(zip(_unique(found.names), found.columns, strict=True))
    return RawTable(
        path,
        columns,
        found.lines,
        "line",
        digest,
        tuple(notes),
        tuple(found.names) if header else (),
        found.delimiter,
        header_line=found.header_line,
        decisions=found.decisions,
    )


def _unnamed(header: bool) -> list[str]:
    return [] if header else ["no line of names: columns are named by their place"]


def _unique(names: list[str]) -> list[str]:
    """The names, those that repeat with a number; ``with_names`` refuses or renames them."""
    counts = Counter(names)
    return [f"{name} {i}" if counts[name] > 1 else name for i, name in enumerate(names)]


def read_bytes(name: str, content: bytes, header: bool = True) -> RawTable:
    """Delimited text in memory, by the rules for files; ``name`` is for messages."""
    if not content.strip():
        raise UserError(f"{name}: it is empty; it needs a header line and rows of data")
    return _read_csv(name, content, "", header)


def read_arrow_table(name: str, table: pa.Table) -> RawTable:
    """A table of Arrow's, by the rules for files; ``name`` is for messages."""
    return _from_arrow(index_first(table), name, "", "Parquet")


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
