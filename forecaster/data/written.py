"""A column of text in whatever style its numbers are written → numbers, or a refusal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.cells import Text
from forecaster.data.digits import shortest
from forecaster.data.layout.words import option
from forecaster.data.marks import (
    MARKS,
    PADDED,
    SIGN,
    UNUSUAL,
    Evidence,
    NumberStyle,
    are_numbers,
    bare_numbers,
    contradiction,
    evidence,
    find,
    is_number,
    proves_decimal,
    style_of,
)
from forecaster.data.missing import Codes, is_usual
from forecaster.data.reading import RawTable
from forecaster.errors import UserError

_LIMIT = re.compile(r"([<>≤≥])=?\s*[-+]?[\d.,]*\d")
_PADDED = re.compile(PADDED)
_OF_ACCOUNTS = {"", "CR", "DR"}  # credit, debit; Soll and Haben are S and H
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)


@dataclass(frozen=True)
class Written:
    """Values (n,), nan where missing; their style, and a cell that shows it with its value.

    ``unusual``: by its way, how a number in a program's own way was read, and how many there are.
    """

    values: NDArray[np.float64]
    style: NumberStyle
    example: str
    unusual: Mapping[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Present:
    """The cells of a column that are not missing: as written and without units; their rows."""

    raw: RawTable
    name: str
    cells: pa.ChunkedArray
    bare: pa.ChunkedArray
    units: pa.Array | None
    rows: NDArray[np.int64]
    or_without: str

    def where(self, cell: int) -> str:
        """The place of a cell in words."""
        return self.raw.where(int(self.rows[cell]), self.name)

    def refuse(self, reason: str, *cells: int) -> UserError:
        """An error about two cells."""
        shown = " and ".join(f"'{self.cells[cell]}'" for cell in cells)
        lines = " and ".join(str(self.raw.places[int(self.rows[cell])]) for cell in cells)
        return UserError(
            f"{self.raw.path}, column '{self.name}': {shown} ({self.raw.unit}s {lines}) {reason}"
        )


def read_written(
    raw: RawTable, name: str, codes: Codes, given: NumberStyle, or_without: str
) -> Written:
    """Read a column of text; ``given``: the marks that are known, the unit left open.

    ``or_without``: what a message says of leaving the column out.
    """
    column = raw.columns[name]
    assert isinstance(column, Text)
    present = _present(raw, name, column, codes, or_without)
    values = np.full(len(column), np.nan)
    style, example, unusual = given, "", dict[str, tuple[str, int]]()
    if len(present.rows):
        style = replace(_style(present, codes, given), unit=_unit(present, codes, given.unit))
        odd = _first_not(pc.match_substring_regex(present.bare, style.pattern))
        if odd is not None:
            raise _not_a_number(present, odd, style)
        values[present.rows] = style.plain(present.bare).cast(pa.float64()).to_numpy()
        shown = find(present.bare, re.escape(style.thousands)) if style.thousands else None
        if style.unit or shown is not None:
            shown = shown or 0
            example = f"'{present.cells[shown]}' is {shortest(values[present.rows[shown]])}"
        if present.units is not None:
            unusual = _unusual(present, values)
    return Written(values, style, example, unusual)


def _unusual(present: Present, values: NDArray[np.float64]) -> dict[str, tuple[str, int]]:
    found = {}
    for way, pattern in UNUSUAL.items():
        cells = np.flatnonzero(pc.match_substring_regex(present.cells, pattern))
        if len(cells):
            value = shortest(values[present.rows[cells[0]]])
            found[way] = f"'{present.cells[cells[0]]}' read as {value}", len(cells)
    return found


def read_alike(column: Text, codes: Codes, style: NumberStyle) -> Written | None:
    """Read a column in the style of another one, if it proves that mark, too; None if it does not.

    A cell that proves another mark does not fit the style, and where that has no thousands, no cell
    may look as if it had. Units are not tried.
    """
    if not style.decimal or style.unit:
        return None
    missing = codes.usual(column.arrow)
    fits = pc.or_(missing, pc.match_substring_regex(column.arrow, style.pattern))
    if not pc.all(fits).as_py() or find(column.arrow, proves_decimal(style.decimal)) is None:
        return None
    shown = -1
    if style.thousands:
        shown = pc.index(pc.match_substring(column.arrow, style.thousands), True).as_py()
    elif find(column.arrow, rf"^{SIGN}\d{{1,3}}{re.escape(style.decimal)}\d{{3}}$") is not None:
        return None
    cells = pc.if_else(missing, "nan", style.plain(column.arrow))
    values, example = cells.cast(pa.float64()).to_numpy(), ""
    if shown >= 0:
        example = f"'{column[shown]}' is {values[shown]:.12g}"
    return Written(values, style if shown >= 0 else replace(style, thousands=""), example)


def _present(raw: RawTable, name: str, column: Text, codes: Codes, or_without: str) -> Present:
    rows = np.flatnonzero(pc.invert(codes.any(column.arrow)))
    cells = column.arrow.take(pa.array(rows))
    bare, units = bare_numbers(cells)
    present = Present(raw, name, cells, bare, units, rows, or_without)
    odd = _first_not(bare.is_valid())
    if odd is not None:
        raise _not_a_number(present, odd)
    return present


def infinite(where: str) -> UserError:
    """The error about an infinite value."""
    return UserError(
        f"{where}: an infinite value; replace it by a number, or leave it blank for missing"
    )


def _first_not(mask: pa.ChunkedArray) -> int | None:
    row = pc.index(mask, False).as_py()
    return None if row < 0 else row


def _not_a_number(present: Present, cell: int, style: NumberStyle | None = None) -> UserError:
    text, where = present.cells[cell].as_py(), present.where(cell)
    if _INFINITE.fullmatch(text):
        return infinite(where)
    known = side_of_limit(text)
    if known is not None:
        return UserError(
            f"{where}: '{text}' is a limit, not a number; write a number in its place, such as the "
            f"limit itself{' or half of it' if known == 'low' else ''}, or leave it blank for "
            f"missing, although it is known to be {known} (or name the text with --missing)"
            f"{present.or_without}"
        )
    if present.raw.delimiter == "," and _PADDED.match(text):
        return _in_parts(present, cell)
    as_others = f" with {style.in_words}" if style is not None and style.in_words else ""
    return UserError(
        f"{where}: '{text}' is not a number{as_others}; correct it, or leave it blank for "
        f"missing (or name the text with --missing){present.or_without}"
    )


def _in_parts(present: Present, cell: int) -> UserError:
    text = present.cells[cell].as_py()
    number = "; if it is a number, write it without the zeros before it"
    is_padded = _PADDED.match(text) and is_number(text)
    return UserError(
        f"{present.where(cell)}: '{text}' seems to be a code of several parts; write each part "
        f"into a column of its own{number if is_padded else ''}{present.or_without}"
    )


def side_of_limit(text: str) -> str | None:
    """Which values a limit such as ``<0.1`` stands for, low or high; None of other texts."""
    found = _LIMIT.match(text)
    return None if found is None else "low" if found[1] in "<≤" else "high"


def _unit(present: Present, codes: Codes, known: str) -> str:
    unit = "" if present.units is None else present.units[0].as_py()
    if unit != known and known:
        raise UserError(f"{present.where(0)}: '{present.cells[0]}' is not in '{known}'; correct it")
    other = None if present.units is None else _first_not(pc.equal(present.units, unit))
    if other is not None:
        raise _different(present, codes, other)
    return unit


def _different(present: Present, codes: Codes, other: int) -> UserError:
    """The error about cells in different units, the first and another one."""
    assert present.units is not None
    units = {*pc.unique(present.units).to_pylist()}
    in_capitals = {unit.upper() for unit in units}
    if ("DR" in in_capitals and in_capitals <= _OF_ACCOUNTS) or units == {"S", "H"}:
        return present.refuse(
            "are credits and debits; write numbers in their place, those of one kind with a minus",
            0,
            other,
        )
    bare = present.cells.filter(pc.equal(present.units, ""))
    found = pc.unique(bare).to_pylist()
    if found and all(_is_code(cell) for cell in found):
        missing = option("missing", [*codes.more, *found])
        return present.refuse(
            "are in different units; if those without a unit stand for missing values, give "
            f"{missing}; write all others in one",
            0,
            other,
        )
    return present.refuse("are in different units; write all in one", 0, other)


def _is_code(cell: str) -> bool:
    """Whether a cell is a number that programs write in place of a value."""
    try:
        return is_usual(float(cell))
    except ValueError:
        return False


def _style(present: Present, codes: Codes, given: NumberStyle) -> NumberStyle:
    """The style of a column, by the marks that are known, by itself, or by the other columns."""
    found = evidence(present.bare)
    if given.decimal or given.thousands:
        return style_of(found, given.decimal, given.thousands) or given
    padded = find(present.bare, PADDED) if present.raw.delimiter == "," else None
    if padded is not None:
        raise _in_parts(present, padded)
    if (pair := contradiction(found)) is not None:
        raise present.refuse("differ in their decimal mark; write all with one", *pair)
    style = style_of(found)
    if style is None or found.weak:
        elsewhere = _decimal_marks(present.raw, present.name, codes)
        decimal = next(iter(elsewhere)) if len(elsewhere) == 1 else ""
        style = None if elsewhere & {*found.weak} else style_of(found, decimal)
    if style is None:
        raise _undecided(present, found)
    if style.decimal == present.raw.delimiter and _parts_elsewhere(present):
        cell = find(present.bare, style.decimal)
        if cell is not None:
            raise _in_parts(present, cell)
    _check_whole(present, found, style.decimal)
    return style


def _check_whole(present: Present, found: Evidence, mark: str) -> None:
    """Raise UserError where a mark that another column proves could be one of thousands here.

    That is where it always stands before three digits, beside whole numbers below a thousand.
    """
    if mark not in found.unproven:
        return
    grouped = rf"^{SIGN}[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}$"
    marked = pc.match_substring_regex(present.bare, grouped)
    whole = pc.match_substring_regex(present.bare, rf"^{SIGN}\d{{1,3}}$")
    if pc.sum(marked).as_py() < 2 or not pc.all(pc.or_(marked, whole)).as_py():
        return
    cells = np.flatnonzero(whole)
    values = present.bare.filter(whole).cast(pa.float64()).to_numpy()
    is_value = np.array([not is_usual(value) for value in values], bool)
    large = cells[is_value & (np.abs(values) >= 100)]
    if is_value.sum() < 2 or not len(large):
        return
    beside = present.raw.places[int(present.rows[large[0]])]
    raise UserError(
        f"{_both_readings(present, mark, found.unproven[mark])}: it always stands before three "
        f"digits, beside whole numbers such as '{present.cells[large[0]]}' ({present.raw.unit} "
        f"{beside}); write the column without marks{present.or_without}; if these are "
        f"decimals, give --decimal {mark}"
    )


def _parts_elsewhere(present: Present) -> bool:
    """Whether another column of the file begins with codes of several parts."""
    return any(
        _PADDED.match(cell)
        for column in present.raw.columns.values()
        if isinstance(column, Text)
        for cell in column.head
    )


def _decimal_marks(raw: RawTable, name: str, codes: Codes) -> set[str]:
    """The decimal marks that the other columns prove."""
    marks: set[str] = set()
    for other, column in raw.columns.items():
        if other == name or not isinstance(column, Text):
            continue
        cells = column.arrow.filter(pc.invert(codes.any(column.arrow)))
        bare, _ = bare_numbers(cells)
        if 2 * bare.null_count <= len(cells):
            marks |= evidence(bare.drop_null()).decimal.keys()
    return marks


def _undecided(present: Present, found: Evidence) -> UserError:
    mark, cell = next(iter({**found.weak, **found.unproven}.items()))
    return UserError(
        f"{_both_readings(present, mark, cell)}, and no other value tells which; give --thousands "
        f"{mark} or --decimal {mark}"
    )


def _both_readings(present: Present, mark: str, cell: int) -> str:
    bare = present.bare[cell].as_py()
    one, other = (float(bare.replace(mark, point)) for point in ("", "."))
    return (
        f"{present.where(cell)}: '{present.cells[cell]}' can be read as {shortest(one)} (thousands "
        f"{MARKS[mark]}) and as {shortest(other)} (decimal {MARKS[mark]})"
    )


def has_numbers(column: Text) -> bool | None:
    """Whether a column has a number, or numbers of one unit only; None without values."""
    codes = Codes()
    some = (column.first,) if is_number(column.first) else column.head
    if any(is_number(cell) for cell in some if cell.lower() not in codes.folded):
        return True
    cells = column.arrow.filter(pc.invert(codes.any(column.arrow)))
    if not len(cells):
        return None
    if pc.any(are_numbers(cells)).as_py():
        return True
    bare, units = bare_numbers(cells)
    return not bare.null_count and pc.count_distinct(units).as_py() == 1
