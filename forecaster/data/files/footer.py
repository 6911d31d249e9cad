"""Totals among the rows of a table, and where it ends: what stands below it."""

import re
from collections.abc import Iterable, Sequence

from forecaster.data.files.dialect import Dialect, Row, lines_of, parse, shown
from forecaster.data.files.kinds import is_label, is_remark, is_time_name, is_total, kind_of

LINE_END = re.compile(rb"\r\n|\n|\r")
_TAIL = 1 << 16  # bytes in which a table ends
_MOST = 50  # rows below a table


def table_end(content: bytes, begin: int, dialect: Dialect) -> tuple[int, list[str]]:
    """The byte after the last row of the table, and what is skipped below it.

    ``content``: the file in UTF-8; ``begin``: the byte of the table's first row.
    """
    start = begin
    if len(content) - begin > _TAIL:
        cut = LINE_END.search(content, len(content) - _TAIL)
        start = cut.end() if cut else len(content)
    tail = content[start:]
    rows = list(parse(tail.decode(), dialect.delimiter)) if tail.count(b'"') % 2 == 0 else []
    last = last_row(rows, dialect)
    if last == len(rows):
        return len(content), []
    ends = [0, *(match.end() for match in LINE_END.finditer(tail))]
    end = start + ends[rows[last].line - 1]
    skipped = [row for row in rows[last:] if not row.is_blank]
    if not skipped:
        return end, []
    before = count_lines(content, begin, start) + dialect.first_line - 1
    lines = lines_of(skipped[0].line + before, skipped[-1].after - 1 + before)
    return end, [f"{lines} skipped, below the table: {shown(skipped[0].cells)}"]


def last_row(rows: Sequence[Row], dialect: Dialect) -> int:
    """The number of rows up to the last one of the table."""
    last = len(rows)
    while last > max(len(rows) - _MOST, 0) and _is_below(rows, last - 1, dialect):
        last -= 1
    return last or len(rows)


def time_column(heads: Iterable[Sequence[str]]) -> int | None:
    """The place of the first column of times, in which a total has its label; None for none.

    ``heads``: the first cells of each column.
    """
    for place, cells in enumerate(heads):
        if is_time_name(next((cell for cell in cells if cell and not is_total(cell)), "")):
            return place
    return None


def count_lines(content: bytes, begin: int, end: int) -> int:
    """The number of line ends of any kind between two bytes."""
    returns = content.count(b"\r", begin, end)
    pairs = content.count(b"\r\n", begin, end) if returns else 0
    return content.count(b"\n", begin, end) + returns - pairs


def _is_below(rows: Sequence[Row], i: int, dialect: Dialect) -> bool:
    """Whether a row, with all rows after it below the table, is no row of it either."""
    row, kinds = rows[i], dialect.kinds
    cells = [cell for cell in row.cells if cell]
    if not cells or dialect.is_comment(row):
        return True
    if len(row.cells) == dialect.width:
        first = kinds.index("plain") if "plain" in kinds else 0
        sums_up = is_label(cells[0]) and kind_of(row.cells[first]) != "plain"
        return sums_up or (len(cells) == 1 and is_remark(cells[0]))
    if kind_of(cells[0]) != "text" or cells[0][0].isdigit():
        return False
    if len(cells) > 2:
        return kinds[0] == "plain" and is_remark(cells[0]) and len(row.cells) != dialect.width
    gap = i > 0 and rows[i - 1].after < row.line
    return gap or kinds[0] == "plain" or is_remark(cells[0]) or is_label(cells[0])
