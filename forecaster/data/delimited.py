"""Delimited text → names and columns of text, with the line of each row.

Arrow's reader takes all files but those with a row of another width, which are read again, line by
line, so that the fault can be named.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from forecaster.data.cells import Text
from forecaster.errors import UserError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_HEAD = 1 << 18  # bytes that the delimiter is found in
_BLOCK = 1 << 24  # bytes that are parsed at once
_LINE_END = re.compile(rb"\r\n|\n|\r")

Rows = list[tuple[int, list[str]]]  # each with the line it starts on


class Lines(Sequence[int]):
    """The line of each row, found by reading the file once more when the first one is asked for."""

    def __init__(self, count: int, find: Callable[[], NDArray[np.int64]]) -> None:
        self._count, self._find = count, find

    @cached_property
    def _lines(self) -> NDArray[np.int64]:
        return self._find()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> int: ...
    @overload
    def __getitem__(self, row: slice) -> list[int]: ...
    def __getitem__(self, row: int | slice) -> int | list[int]:
        return self._lines[row].tolist()


@dataclass(frozen=True)
class Delimited:
    """A delimited file's header and its columns of text; ``lines[i]``: where row ``i`` starts."""

    names: list[str]
    columns: list[Text]
    lines: Sequence[int]
    delimiter: str
    header_line: int
    encoding: str


def read_delimited(path: object, content: bytes) -> Delimited:
    """Read the bytes of a file; raises UserError for rows of different widths."""
    content, encoding = decode(path, content)
    try:
        delimiter = _find_delimiter(content[:_HEAD].decode(errors="ignore"))
        if delimiter is None:
            raise UserError(
                f"{path}, line 1: only one column; the file needs a time column and a value "
                "column, separated by comma, semicolon, tab or bar"
            )
        header_line, names, below = _header(content, delimiter)
        columns, lines = _fast(content, delimiter, len(names), below) or _exact(
            path, content, delimiter, names, header_line
        )
    except csv.Error as error:
        raise UserError(
            f"{path}: not a well-formed CSV file ({error}); check its quotes"
        ) from error
    if not len(lines):
        raise UserError(f"{path}: there is a header but no data; add rows below line {header_line}")
    return Delimited(names, columns, lines, delimiter, header_line, encoding)


def decode(path: object, content: bytes) -> tuple[bytes, str]:
    """A file's bytes in UTF-8 without a byte-order mark, and the encoding they had."""
    if content.isascii() and b"\x00" not in content:
        return content, "utf-8"
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
        return content if encoding == "utf-8" else text.encode(errors="replace"), encoding
    raise UserError(
        f"{path}: not a text file; give a CSV file (UTF-8 or Latin-1) or a .parquet file"
    )


def _parse(text: str, delimiter: str, line: int = 1) -> Rows:
    """The rows, each with the line it starts on; blank lines are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows, before = [], line - 1
    for row in reader:
        if row and not (len(row) == 1 and not row[0].strip()):
            rows.append((line, [cell.strip() for cell in row]))
        line = before + reader.line_num + 1
    return rows


def _find_delimiter(text: str) -> str | None:
    """The delimiter with the most columns in the first lines, if possible the same in all lines."""
    head = "\n".join([line for line in text.splitlines() if line.strip()][:40])
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


def _header(content: bytes, delimiter: str) -> tuple[int, list[str], tuple[int, int]]:
    """The line of the header, its names, and the line and the byte that follow it."""
    with io.TextIOWrapper(io.BytesIO(content), "utf-8", errors="replace", newline="") as text:
        reader, line = csv.reader(text, delimiter=delimiter), 1
        for row in reader:
            if row and not (len(row) == 1 and not row[0].strip()):
                break
            line = reader.line_num + 1
        names, end = [cell.strip() for cell in row], reader.line_num
    ends = _LINE_END.finditer(content)
    byte = len(content)
    for _, match in zip(range(end), ends, strict=False):
        byte = match.end()
    return line, names, (end + 1, byte)


def _fast(
    content: bytes, delimiter: str, width: int, below: tuple[int, int]
) -> tuple[list[Text], Sequence[int]] | None:
    """The columns by Arrow's reader; None for rows of different widths."""
    first_line, begin = below
    body = pa.py_buffer(content)[begin:]
    if not body.size:
        return [], []
    labels = [str(number) for number in range(width)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(body),
            read_options=arrow_csv.ReadOptions(column_names=labels, block_size=_BLOCK),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=b'"' in content
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(labels, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    count, untrimmed, columns = table.num_rows, table.columns[::-1], []
    del table  # so that each column is freed when it is trimmed
    while untrimmed:
        columns.append(Text(pc.utf8_trim_whitespace(untrimmed.pop())))
    if _lines_of(content) == first_line - 1 + count:
        return columns, range(first_line, first_line + count)
    text, line = bytes(body), first_line
    return columns, Lines(count, lambda: _row_lines(_parse(text.decode(), delimiter, line)))


def _lines_of(content: bytes) -> int:
    """The number of lines, whatever ends them."""
    returns = content.count(b"\r")
    ends = content.count(b"\n") + (returns - content.count(b"\r\n") if returns else 0)
    return ends + (not content.endswith((b"\n", b"\r")))


def _row_lines(rows: Rows) -> NDArray[np.int64]:
    return np.array([line for line, _ in rows], dtype=np.int64)


def _exact(
    path: object, content: bytes, delimiter: str, names: list[str], header_line: int
) -> tuple[list[Text], Sequence[int]]:
    """The columns row by row."""
    body = _parse(content.decode(), delimiter)[1:]
    for line, row in body:
        if len(row) != len(names):
            raise UserError(
                f"{path}, line {line}: {len(row)} fields where the header has {len(names)}; "
                "correct the line (a missing or an unquoted delimiter)"
            )
    columns = [Text.of(cells) for cells in zip(*(row for _, row in body), strict=True)]
    return columns, _row_lines(body).tolist()
