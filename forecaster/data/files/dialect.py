"""The delimiter of a file, its line of names, and what stands above and below its table."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from forecaster.data.files.kinds import (
    Kind,
    is_about_columns,
    is_format,
    is_time_name,
    is_total,
    is_unit,
    kind_of,
)
from forecaster.data.marks import is_number

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_LINE_END = re.compile(r"\r\n|\n|\r")
_HEAD = 1 << 18  # bytes in which the table begins
ROWS = 200
_JUDGED = 60  # rows and columns that tell the delimiter
_MOST = 0.6  # of a column's cells
_SHOWN = 60  # letters of a line that is skipped
_FEWEST = 3  # times that name columns
_TOGETHER = 5  # lines that name columns together
_NAMED = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A row, the line it starts on and the line after it."""

    line: int
    after: int
    cells: list[str]

    @property
    def is_blank(self) -> bool:
        """Whether it has no cell but blank ones."""
        return not any(self.cells)

    @property
    def is_remark(self) -> bool:
        """Whether it is a line that starts with ``#``."""
        return self.cells[0].startswith("#")


@dataclass(frozen=True)
class Dialect:
    """How a file is laid out.

    ``names``: those in the line ``header_line`` (0 for none). ``first_line``: of the table's rows,
    which have ``width`` cells, and kinds by column. ``decisions``: what is skipped.
    """

    delimiter: str
    names: list[str]
    header_line: int
    first_line: int
    width: int
    kinds: list[Kind]
    decisions: list[str]

    def is_comment(self, row: Row) -> bool:
        """Whether a row of the table starts with ``#`` where rows start with a number or time."""
        return row.is_remark and (self.kinds[0] == "plain" or len(row.cells) != self.width)


def parse(text: str, delimiter: str, line: int = 1) -> Iterator[Row]:
    """The rows that are not blank lines; ``line``: the number of the first line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    before, start = line - 1, line
    for cells in reader:
        after = before + reader.line_num + 1
        if cells and not (len(cells) == 1 and not cells[0].strip()):
            yield Row(start, after, [cell.strip() for cell in cells])
        start = after


def find_dialect(content: bytes, header: bool = True) -> Dialect | None:
    """The dialect of a file's bytes in UTF-8; None if it has one column only.

    ``header``: whether there is a line of names. Raises csv.Error.
    """
    text = content[:_HEAD].decode(errors="replace")
    if len(content) > _HEAD:
        text = text[: max((end.start() for end in _LINE_END.finditer(text)), default=len(text))]
    first = next((line for line in _LINE_END.split(text) if line.strip()), "")
    named = _NAMED.match(first.strip())
    if named is not None and not first.strip()[named.end() :].strip(named[1]):
        candidates = [named[1]]
    else:
        named, candidates = None, [mark for mark in DELIMITERS if mark in text]
    samples = {mark: list(islice(parse(text, mark), ROWS)) for mark in candidates}
    if named is not None:
        samples[named[1]] = samples[named[1]][1:]
    scores = {mark: _score(rows) for mark, rows in samples.items()}
    best = max(scores, key=lambda mark: scores[mark], default=None)
    if best is None or scores[best] <= (0, 0):
        return None
    found = structure(samples[best], best, header)
    said = f"delimiter {DELIMITERS.get(best, best)}, by the first line"
    return found if named is None else replace(found, decisions=[said, *found.decisions])


def _numeric(rows: Sequence[Row]) -> list[Row]:
    """The rows with digits, of which a table consists; all rows if none has."""
    found = [row for row in rows if not row.is_remark and any(map(str.isdigit, "".join(row.cells)))]
    return found or list(rows)


def _score(rows: Sequence[Row]) -> tuple[float, int]:
    """How well rows split: their share of one width, times that of numbers and times; the width."""
    rows = _numeric(rows)[-_JUDGED:]
    width, count = _width(rows)
    if width < 2:
        return (0, 0)
    kinds = [kind_of(cell) for row in rows for cell in row.cells[:_JUDGED] if cell]
    typed = sum(kind != "text" for kind in kinds) / max(len(kinds), 1)
    return count / len(rows) * (0.1 + typed), width


def _width(rows: Sequence[Row]) -> tuple[int, int]:
    """The most frequent number of cells, the first of two, and the number of its rows."""
    counts = Counter(len(row.cells) for row in rows)
    return next(iter(counts.most_common(1)), (0, 0))


def structure(rows: Sequence[Row], delimiter: str, header: bool) -> Dialect:
    """Where the table's names and its rows are, among the first rows of a file."""
    width, _ = _width(_numeric(rows)[-_JUDGED:])
    whole = [row for row in rows if len(row.cells) == width]
    kinds = _kinds(whole[len(whole) // 2 :])
    first = next((i for i, row in enumerate(rows) if _is_data(row, kinds)), len(rows))
    said: list[str] = []
    if not header:
        names, place = [f"column_{k + 1}" for k in range(width)], -1
        start = first if first < len(rows) else 0
        after = rows[start].line
    else:
        trailing = not any(row.cells[-1] for row in whole[len(whole) // 2 :])
        found = _names_of_times(rows, kinds, trailing)
        joined = None
        if found is None and first < len(rows):
            joined = _joined(rows[:first], width, trailing)
            found = _header(rows[:first], kinds, trailing) if joined is None else joined.last
        place = rows.index(whole[0]) if found is None else found
        names, start = _uncommented(rows[place].cells), place + 1
        while start < first < len(rows) and (
            not _has_data(rows[start]) or _is_fact(rows[start], kinds)
        ):
            start += 1
        after = rows[start - 1].after
        above = place if joined is None else joined.first
        said += _said(rows[:above], "above the names of the columns")
        if joined is not None:
            names = joined.names
            lines = lines_of(rows[above].line, rows[place].after - 1)
            said.append(f"{lines} name the columns together, such as '{names[1]}'")
    said += _said(rows[place + 1 : start], "above the rows of data")
    line = rows[place].line if header else 0
    return Dialect(delimiter, names, line, after, width, kinds, said)


def _kinds(rows: Sequence[Row]) -> list[Kind]:
    """The kind of each column: ``plain`` for numbers, with a unit or without, and times."""
    kinds: list[Kind] = []
    for cells in zip(*(row.cells for row in rows), strict=True):
        found = [kind for cell in cells if (kind := kind_of(cell)) != "blank"]
        typed = len(found) - found.count("text")
        kinds.append("plain" if typed > _MOST * len(found) else "text" if found else "blank")
    return kinds


def _is_data(row: Row, kinds: Sequence[Kind]) -> bool:
    """Whether a row's cells are of the kinds of the columns, and some cell is no text."""
    if len(row.cells) != len(kinds) or row.is_remark:
        return False
    found = [kind_of(cell) for cell in row.cells]
    fits = all(kind != "text" for kind, usual in zip(found, kinds, strict=True) if usual == "plain")
    if all(map(is_format, row.cells)):
        return False
    return fits and any(kind in {"plain", "measure"} for kind in found)


def _has_data(row: Row) -> bool:
    return any(kind_of(cell) == "plain" for cell in row.cells)


def _is_about(row: Row, kinds: Sequence[Kind]) -> bool:
    """Whether a row says something of each column, such as its unit, where others have a time."""
    return kinds[0] == "plain" and len(row.cells) == len(kinds) and is_about_columns(row.cells[0])


def _is_fact(row: Row, kinds: Sequence[Kind]) -> bool:
    """Whether a row about the columns cannot have their names: some are dates, or not there."""
    if not _is_about(row, kinds):
        return False
    return not all(row.cells) or any(not is_number(c) and is_time_name(c) for c in row.cells[1:])


def _names_of_times(rows: Sequence[Row], kinds: Sequence[Kind], trailing: bool) -> int | None:
    """The first row that is no title and no key with its value, if it names columns by times.

    Its years have the kind of the numbers below them, so that it would pass for a row of data.
    """
    few = max(2, len(kinds) // 2)
    filled = (i for i, row in enumerate(rows) if sum(map(bool, row.cells)) > few)
    place = next((i for i in filled if not rows[i].is_remark), None)
    if place is None or not _fits(rows[place], len(kinds), trailing):
        return None
    cells = rows[place].cells
    times = [cell for cell, kind in zip(cells, kinds, strict=False) if cell and kind != "text"]
    if len(times) < _FEWEST or not all(map(is_time_name, times)):
        return None
    numbers = [int(cell) for cell in times if cell.isdigit()]
    ordered = sorted(numbers) in (numbers, numbers[::-1])
    return place if ordered and _are_names(cells, trailing) else None


def _fits(row: Row, width: int, trailing: bool) -> bool:
    """Whether a row has a name for each column (``trailing``: but for the last, blank one)."""
    return (
        len(row.cells) == width
        or (len(row.cells) == width - 1 and trailing)
        or (len(row.cells) == width + 1 and not row.cells[-1])
    )


def _sums_up(row: Row) -> bool:
    return is_total(next(filter(None, row.cells), "")) and _has_data(row)


def _header(above: Sequence[Row], kinds: Sequence[Kind], trailing: bool) -> int | None:
    """The row of names among those above the data, the likeliest first."""
    fitting = [
        i for i, row in enumerate(above) if _fits(row, len(kinds), trailing) and not _sums_up(row)
    ]
    named = [i for i in fitting if _are_names(above[i].cells, trailing)]
    names = [i for i in named if not _tells_kinds(above[i].cells)]
    plain = [i for i in names if not _has_data(above[i]) and not above[i].is_remark]
    others = [i for i in plain if not _is_about(above[i], kinds)]
    if others and _is_fact(above[-1], kinds):
        plain = sorted(others, key=lambda i: (all(above[i].cells[1:]), i))
    typed = [i for i in names if not above[i].is_remark]
    if not plain and not (typed and _has_times(above[typed[0]])):
        # names that repeat, rather than the values of a row that could be names
        plain = [i for i in fitting if not _has_data(above[i]) and _repeats(above[i].cells)]
        plain = [i for i in plain if not _tells_kinds(above[i].cells) and not above[i].is_remark]
    remarks = [i for i in names if above[i].is_remark]
    last = [len(above) - 1] if above and len(above[-1].cells) > 1 else []
    return next(iter([*plain[::-1], *typed, *remarks[::-1], *named, *fitting, *last]), None)


@dataclass(frozen=True)
class _Joined:
    """The rows ``first`` to ``last``, each with a part of every name."""

    first: int
    last: int
    names: list[str]


def _joined(above: Sequence[Row], width: int, trailing: bool) -> _Joined | None:
    """The rows above the data that name the columns together; None if one does, or none do.

    A name that is blank is that to its left, as in cells that were merged. The last row may have
    the name of the times alone, as where a data frame is written.
    """
    alone = (row for row in above if _fits(row, width, trailing) and not _has_data(row))
    if any(_are_names(row.cells, trailing) and not _tells_kinds(row.cells) for row in alone):
        return None
    rest = len(above)
    while rest and len(above[rest - 1].cells) == width and not above[rest - 1].is_remark:
        if rest < len(above) and above[rest - 1].after != above[rest].line:
            break
        rest -= 1
    block = list(above[max(rest, len(above) - _TOGETHER) :])
    if block and block[-1].cells[0] and not any(block[-1].cells[1:]):
        time, block = block[-1].cells[0], block[:-1]
    else:
        firsts = [row.cells[0] for row in reversed(block) if not _tells_kinds(row.cells)]
        time = next(filter(None, firsts), "")
    for count in range(2, len(block) + 1):
        levels = block[-count:]
        if not all(levels[-1].cells[1:]) or any(map(_has_data, levels)):
            return None
        parts = [_filled(row.cells[1:], levels[-1].cells[1:]) for row in levels]
        if not all(map(all, parts)):
            return None
        told = [each for each in parts if len(set(each)) > 1 or not _tells_kinds(each)]
        names = [" ".join(filter(None, cells)) for cells in zip(*told, strict=True)]
        if all(names) and len({*names, time}) == width:
            return _Joined(above.index(block[-count]), len(above) - 1, [time, *names])
    return None


def _filled(cells: list[str], below: list[str]) -> list[str]:
    """The cells, each that is blank as the one before it, if the names below then repeat alike."""
    starts = [i for i, cell in enumerate(cells) if cell]
    size = len(cells) // max(len(starts), 1)
    if starts != [*range(0, len(cells), size)] or below != below[:size] * len(starts):
        return cells
    return [cells[i - i % size] for i in range(len(cells))]


def _repeats(cells: Sequence[str]) -> bool:
    """Whether they are as names are, but for some that are alike."""
    return all(cells[1:-1]) and len(set(cells)) < len(cells) - (not cells[0])


def _tells_kinds(cells: Sequence[str]) -> bool:
    """Whether a line is one of units, or of formats."""
    return all(map(is_unit, cells)) or all(map(is_format, cells))


def _has_times(row: Row) -> bool:
    """Whether the numbers and times of a row could all name columns by times."""
    return all(is_time_name(cell) for cell in row.cells if kind_of(cell) == "plain")


def _are_names(cells: Sequence[str], trailing: bool) -> bool:
    """Whether no two cells are alike, and all but the first, or one behind the last, are there."""
    there = [cell for cell in cells if cell]
    last = cells[-1] if len(cells) == 2 and not trailing else "there"
    return len(set(there)) == len(there) > 0 and all(cells[1:-1]) and bool(last)


def _uncommented(names: list[str]) -> list[str]:
    """The names in a line that starts with ``#`` and a blank, without them."""
    return [re.sub(r"^#+\s+", "", names[0]), *names[1:]]


def _said(rows: Sequence[Row], where: str) -> Iterator[str]:
    """A decision about rows that are skipped."""
    if rows:
        lines = lines_of(rows[0].line, rows[-1].after - 1)
        yield f"{lines} skipped, {where}: {shown(rows[0].cells)}"


def lines_of(first: int, last: int) -> str:
    """``line 3`` or ``lines 3 to 5``."""
    return f"line {first}" if first == last else f"lines {first} to {last}"


def shown(cells: Sequence[str]) -> str:
    """The beginning of a row, in quotes."""
    text = ", ".join(cell for cell in cells if cell)
    return f"'{text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}'"
