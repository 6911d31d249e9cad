"""The rows of delimited text → columns: by Arrow's reader, or row by row.

Arrow's reader takes all files but those with a row of another width, which are read again, so that
the fault can be named, and those with blanks before quotes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import SupportsIndex, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from forecaster.data.cells import Text
from forecaster.data.files.dialect import Dialect, Row, parse
from forecaster.data.files.footer import LINE_END, count_lines
from forecaster.errors import UserError

_NAMED = 5  # lines that a decision names
_NO_WORDS: dict[str, list[str]] = {
    "null_values": [],
    "true_values": [],
    "false_values": [],
}  # kept for each column
_BLOCK = 1 << 24  # bytes that are parsed at once


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
    def __getitem__(self, row: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, row: slice) -> list[int]: ...
    def __getitem__(self, row: SupportsIndex | slice) -> int | list[int]:
        return self._lines[row].tolist()


@dataclass(frozen=True)
class Body:
    """The rows of a file in UTF-8, from byte ``begin`` to ``end``."""

    content: bytes
    begin: int
    end: int
    dialect: Dialect

    @property
    def names(self) -> list[str]:
        """The names, with a blank one for what stands behind a last delimiter."""
        names, width = self.dialect.names, self.dialect.width
        if len(names) == width + 1 and not names[-1]:
            return names[:-1]
        return [*names, ""] if len(names) == width - 1 else names

    @property
    def count(self) -> int:
        """The number of lines."""
        ended = self.content.endswith((b"\n", b"\r"), self.begin, self.end)
        return count_lines(self.content, self.begin, self.end) + (not ended)

    def rows(self) -> list[Row]:
        """The rows by Python's reader."""
        text = self.content[self.begin : self.end].decode()
        return list(parse(text, self.dialect.delimiter, self.dialect.first_line))


def byte_of(content: bytes, line: int) -> int:
    """The byte that a line begins with."""
    ends = islice(LINE_END.finditer(content), line - 1)
    return max((match.end() for match in ends), default=0)


def read_fast(body: Body) -> tuple[list[Text], Sequence[int], list[str]] | None:
    """The columns and the line of each row, by Arrow's reader; None for different widths."""
    content = pa.py_buffer(body.content)[body.begin : body.end]
    labels, first = [str(number) for number in range(len(body.names))], body.dialect.first_line
    if f'{body.dialect.delimiter} "'.encode() in body.content:
        return None  # Arrow takes the quotes behind a blank for a part of the cell
    if not content.size:
        return [Text.of([]) for _ in labels], [], []
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(
                column_names=labels,
                block_size=_BLOCK,
                use_threads=content.size > _BLOCK,  # a thread costs more than a few rows do
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=body.dialect.delimiter, newlines_in_values=b'"' in body.content
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(labels, pa.string()),
                strings_can_be_null=False,
                **_NO_WORDS,
            ),
        )
    except pa.ArrowInvalid:
        return None
    count, untrimmed, columns = table.num_rows, table.columns[::-1], []
    del table  # so that each column is freed when it is trimmed
    while untrimmed:
        columns.append(Text(pc.utf8_trim_whitespace(untrimmed.pop())))
    if body.count == count:
        return columns, range(first, first + count), []
    return columns, Lines(count, lambda: np.array([row.line for row in body.rows()])), []


def read_exactly(path: object, body: Body) -> tuple[list[Text], Sequence[int], list[str]]:
    """The columns row by row, and what is skipped; raises UserError for a row of another width."""
    kept, comments, width = [], [], len(body.names)
    for row in body.rows():
        if body.dialect.is_comment(row):
            comments.append(row.line)
            continue
        cells = row.cells
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) == width - 1 and not body.names[-1]:
            cells.append("")  # a line without the last delimiter
        if len(cells) != width:
            named = len(body.dialect.names)
            raise UserError(
                f"{path}, line {row.line}: {len(cells)} fields where the header has {named}; "
                "correct the line (a missing or an unquoted delimiter)"
            )
        kept.append(row)
    columns = [Text.of(cells) for cells in zip(*(row.cells for row in kept), strict=True)]
    lines = [row.line for row in kept]
    decisions = [f"{named_lines(comments)} skipped: comments"] if comments else []
    return columns or [Text.of([]) for _ in range(width)], lines, decisions


def named_lines(lines: Sequence[int]) -> str:
    """``line 7``, or the first of several."""
    shown = ", ".join(map(str, lines[:_NAMED])) + (", …" if len(lines) > _NAMED else "")
    return f"line{'s' * (len(lines) > 1)} {shown}"
