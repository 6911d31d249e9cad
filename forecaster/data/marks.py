"""How the numbers of a column are written: decimal and thousands marks, signs and units.

A mark is taken as decimal only where a cell proves it: other than three digits after it, a zero or
more than three digits before it, another mark before it, or an exponent. It is taken as thousands
where it occurs twice in a cell or before another mark, or where 1,000 follows 999.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from forecaster.errors import UserError

MARKS = {".": "point", ",": "comma", "'": "apostrophe", " ": "space"}
_SPACES = " \u00a0\u202f\u2009\u2007"
SIGN = "[+-]?"
_EXPONENT = r"(?:[eE][+-]?\d+)?"
_DIGITS = (
    rf"(?:(?:\d{{1,3}}(?:[.,'’{_SPACES}]\d{{3}})+|\d{{1,2}}(?:,\d{{2}})+,\d{{3}}|\d+)(?:[.,]\d*)?"
    r"|[.,]\d+)"
)
# a code of several parts, as of weather stations, in a file with commas between cells: +0012,1
PADDED = rf"^{SIGN}(?:00|0\d{{3}})\d*,"
_BARE = rf"^[+\-−–]?{_DIGITS}{_EXPONENT}$"
_CURRENCY = (
    "[A-Z]{0,3}[$€£¥₹₽₩₪₺]|Rs\\.?|Fr\\.|kr|"
    "USD|EUR|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|RUB|BRL|AUD|CAD|NZD|ZAR|TRY|KRW|MXN"
)
# with digits that are no number of their own: m2, kWh/15min, USD2015, /100000
_UNIT = (
    r"[A-Za-zµμΩ°%‰$€£¥₹₽₩₪₺À-ɏ](?:\d{0,4}[^\s,;()\d]){0,11}(?:\d{0,4}|/10{2,6})"
    r"|PM2,5"
)
_WITH_UNIT = (
    rf"^(?P<open>\(?)(?P<sign>[+\-−–]?)(?P<before>(?:{_CURRENCY})?)[{_SPACES}]?"
    rf"(?P<inner>[\-−–(]?)[{_SPACES}]?(?P<digits>{_DIGITS})(?P<exponent>{_EXPONENT})"
    rf"(?P<shut>\)?)(?P<behind>(?:[\-−–]$)?)[{_SPACES}]?(?P<after>(?:{_UNIT})?)(?P<close>\)?)$"
)
# a currency with a dash in place of 0
_NOTHING = {
    rf"^({_CURRENCY})[{_SPACES}]*[\-−–—]+$": r"\1 0",
    rf"^[\-−–—]+[{_SPACES}]*({_CURRENCY})$": r"0 \1",
}
# numbers in a program's own way, to be told
UNUSUAL = {"as Excel writes it": "|".join(_NOTHING), "as SAP writes it": r"\d[\-−–]$"}
_PLAIN_SPELLING = {"[−–]": "-", f"[{_SPACES[1:]}]": " ", "’": "'"}

Cells: TypeAlias = pa.ChunkedArray


@dataclass(frozen=True)
class NumberStyle:
    """How a column's numbers are written.

    ``decimal``: the mark, empty while no cell has one; ``thousands``: the mark, empty for none;
    ``unit``: what stands before or after every number.
    """

    decimal: str = ""
    thousands: str = ""
    unit: str = ""

    @property
    def pattern(self) -> str:
        """A regular expression of the numbers in this style, without their unit."""
        decimal, thousands = re.escape(self.decimal), re.escape(self.thousands)
        whole = r"\d+"
        if thousands:
            whole += rf"|\d{{1,3}}(?:{thousands}\d{{3}})+"
            whole += r"|\d{1,2}(?:,\d{2})+,\d{3}" if thousands == "," else ""
        number = rf"(?:{whole})(?:{decimal}\d*)?|{decimal}\d+" if decimal else whole
        return f"^{SIGN}(?:{number}){_EXPONENT}$"

    @property
    def in_words(self) -> str:
        """``a thousands comma, a decimal point and the unit '%'``, as far as they are known."""
        parts = [f"a thousands {MARKS[self.thousands]}"] if self.thousands else []
        parts += [f"a decimal {MARKS[self.decimal]}"] if self.decimal else []
        parts += [f"the unit '{self.unit.strip()}'"] if self.unit else []
        return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + "".join(parts[-1:])

    def plain(self, bare: Cells) -> Cells:
        """Numbers in this style, as Arrow casts them."""
        if self.thousands:
            bare = pc.replace_substring(bare, self.thousands, "")
        return pc.replace_substring(bare, ",", ".") if self.decimal == "," else bare


OTHER = {".": ",", ",": "."}


def given_style(decimal: str | None, thousands: str | None) -> NumberStyle:
    """The style as far as options tell; raises UserError for one mark in both roles."""
    if decimal is not None and decimal == thousands:
        raise UserError(
            f"--decimal {decimal} --thousands {thousands}: one mark cannot be both; give one of "
            "the options"
        )
    mark = " " if thousands == "space" else thousands or ""
    return NumberStyle(decimal or OTHER.get(mark, ""), mark)


@dataclass(frozen=True)
class Evidence:
    """What the cells of a column prove about ``.`` and ``,``, each with a row that shows it.

    ``weak``: thousands, as 1,000 follows 999. ``unproven``: marks that occur without a proof.
    ``grouped``: an apostrophe or a space, which can be nothing but thousands.
    """

    decimal: Mapping[str, int]
    thousands: Mapping[str, int]
    weak: Mapping[str, int]
    unproven: Mapping[str, int]
    grouped: str = ""


_IS_NUMBER = re.compile(_BARE)
_HAS_UNIT = re.compile("|".join([_WITH_UNIT, *_NOTHING]))


def is_number(cell: str) -> bool:
    """Whether a cell is a number in some style, without a unit."""
    return _IS_NUMBER.search(cell) is not None


def with_unit(cell: str) -> bool:
    """Whether a cell is a number in some style, with a unit or without."""
    return _HAS_UNIT.search(cell) is not None


def are_numbers(cells: Cells) -> pa.ChunkedArray:
    """Which cells are numbers in some style, without a unit."""
    return pc.match_substring_regex(cells, _BARE)


def bare_numbers(cells: Cells) -> tuple[Cells, pa.Array | None]:
    """Numbers without their unit, null where a cell is none, and the unit of each.

    Signs, spaces and apostrophes have their plain spelling; parentheses become a minus.
    """
    units = None
    if not pc.all(are_numbers(cells)).as_py():
        cells, units = _without_units(cells)
    for pattern, plain in _PLAIN_SPELLING.items():
        if find(cells, pattern) is not None:
            cells = pc.replace_substring_regex(cells, pattern, plain)
    return cells, units


def _without_units(cells: Cells) -> tuple[Cells, pa.Array]:
    for pattern, zero in _NOTHING.items():
        cells = pc.replace_substring_regex(cells, pattern, zero)
    found = pc.extract_regex(cells.combine_chunks(), _WITH_UNIT)
    part = {field.name: pc.struct_field(found, field.name) for field in found.type}
    units = pc.binary_join_element_wise(part["before"], part["after"], "")
    marks = pc.binary_join_element_wise(
        *(part[name] for name in ("open", "sign", "inner", "shut", "behind", "close")), ""
    )
    negative = pc.equal(marks, "()")
    valid = pc.or_(negative, pc.match_substring_regex(marks, r"^[+\-−–]?$"))
    price = pc.match_substring_regex(cells.combine_chunks(), r"[.,][\-−–]$")  # 5.- is no -5
    valid = pc.and_not(valid, price)
    signs = pc.if_else(negative, "-", marks)
    bare = pc.binary_join_element_wise(signs, part["digits"], part["exponent"], "")
    return pa.chunked_array([pc.if_else(valid, bare, None)]), units


def find(cells: Cells, pattern: str) -> int | None:
    """The first row that a regular expression is found in."""
    row = pc.index(pc.match_substring_regex(cells, pattern), True).as_py()
    return None if row < 0 else row


def evidence(bare: Cells) -> Evidence:
    """What the bare numbers of a column prove."""
    decimal, thousands, weak, unproven = {}, {}, {}, {}
    for mark in ".,":
        occurs = find(bare, re.escape(mark))
        if occurs is None:
            continue
        if (row := find(bare, proves_decimal(mark))) is not None:
            decimal[mark] = row
        if (row := find(bare, _proves_thousands(mark))) is not None:
            thousands[mark] = row
        if mark in decimal or mark in thousands:
            continue
        row = find(bare, rf"^{SIGN}[1-9]\d{{0,2}}{re.escape(mark)}\d\d0$")
        if row is not None and find(bare, rf"^{SIGN}[1-9]\d\d$") is not None:
            weak[mark] = row
        else:
            unproven[mark] = occurs
    grouped = next((mark for mark in "' " if find(bare, mark) is not None), "")
    return Evidence(decimal, thousands, weak, unproven, grouped)


def proves_decimal(mark: str) -> str:
    """A regular expression of bare numbers in which ``mark`` can be decimal only."""
    m, others = re.escape(mark), _others(mark)
    digits = rf"\d*{m}(?:\d{{0,2}}|\d{{4,}})|(?:0\d*|\d{{4,}})?{m}\d+|.*[{others}]\d{{3}}{m}\d*"
    return rf"^{SIGN}(?:{digits})$|{m}\d*[eE]"


def _proves_thousands(mark: str) -> str:
    m = re.escape(mark)
    return rf"{m}\d{{2,3}}{m}|{m}\d{{3}}[{_others(mark)}]"


def _others(mark: str) -> str:
    return "".join(other for other in MARKS if other != mark)


def contradiction(found: Evidence) -> tuple[int, int] | None:
    """Two rows that no one style can write."""
    for rows in (found.decimal, {**found.thousands, **found.weak}):
        if len(rows) > 1:
            first, second = rows.values()
            return first, second
    for mark, row in found.decimal.items():
        if mark in found.thousands:
            return row, found.thousands[mark]
    return None


def style_of(found: Evidence, decimal: str = "", thousands: str = "") -> NumberStyle | None:
    """The style by a column's evidence and the marks that are known (empty: unknown).

    None where both readings of a mark remain.
    """
    thousands = thousands or next(iter({**found.thousands, **found.weak}), found.grouped)
    decimal = decimal or next(iter(found.decimal), OTHER.get(thousands, ""))
    if not decimal and found.unproven:
        if not thousands or len(found.unproven) > 1:
            return None
        decimal = next(iter(found.unproven))
    if decimal and not thousands and OTHER[decimal] in found.unproven:
        thousands = OTHER[decimal]
    return NumberStyle(decimal, "" if thousands == decimal else thousands)
