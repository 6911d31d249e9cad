"""Rows of years and quarters among rows of months, as statistical offices write them."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_YEAR = r"(?P<year>(?:1[5-9]|2[0-2])\d\d)"
_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAME = rf"(?P<name>{'|'.join(_NAMES)})[a-z]{{0,6}}\.?"
_MONTH, _QUARTER, _HALF = r"(?P<n>0[1-9]|1[0-2])", r"Q(?P<n>[1-4])", r"[HS](?P<n>[12])"
# how a period is written, and its months; the shortest first
_FORMS = (
    (rf"{_YEAR}[- /M]{_MONTH}", "months", 1),
    (rf"{_YEAR}[- ]?{_NAME}", "months", 1),
    (rf"{_NAME}[- ]?{_YEAR}", "months", 1),
    (rf"{_YEAR}[- ]?{_QUARTER}", "quarters", 3),
    (rf"{_QUARTER}[- /]?{_YEAR}", "quarters", 3),
    (rf"{_YEAR}[- ]?{_HALF}", "half-years", 6),
    (rf"{_HALF}[- /]?{_YEAR}", "half-years", 6),
    (_YEAR, "years", 12),
)
_PATTERNS = [(re.compile(form, re.IGNORECASE), kind, size) for form, kind, size in _FORMS]
_MOST = 10_000  # rows of such a table
# the years among numbered periods, as the U.S. Bureau of Labor Statistics writes them
_ANNUAL = {"M": "M13", "Q": "Q05", "S": "S03"}
_OF_BUREAU = {"series_id", "year", "period", "value", "footnote_codes"}


def coarser_rows(times: Sequence[str]) -> tuple[list[int], str]:
    """The rows whose period is longer than the shortest one of the column, and what they hold.

    None unless every cell is a month, a quarter, a half-year or a year, or is blank, and each of
    the longer ones is covered by rows of the shortest, its parts.
    """
    if len(times) > _MOST or not any(map(_period, times[:2])):
        return [], ""
    found: dict[str, dict[int, range]] = {}
    for row, cell in enumerate(times):
        period = _period(cell)
        if period is not None:
            found.setdefault(period[0], {})[row] = period[1]
        elif cell:
            return [], ""
    kinds = [kind for kind in dict.fromkeys(kind for _, kind, _ in _PATTERNS) if kind in found]
    if len(kinds) < 2:
        return [], ""
    covered = {month for months in found[kinds[0]].values() for month in months}
    longer = {row: months for kind in kinds[1:] for row, months in found[kind].items()}
    if not all(covered.issuperset(months) for months in longer.values()):
        return [], ""
    return sorted(longer), " and ".join(filter(None, [", ".join(kinds[1:-1]), kinds[-1]]))


def _period(cell: str) -> tuple[str, range] | None:
    """The kind of a period, and its months, counted from the year 0."""
    for pattern, kind, size in _PATTERNS:
        if match := pattern.fullmatch(cell):
            parts = match.groupdict()
            name, number = parts.get("name"), int(parts.get("n") or 1)
            place = number - 1 if name is None else _NAMES.index(name.lower())
            first = 12 * int(parts["year"]) + size * place
            return kind, range(first, first + size)
    return None


def annual_rows(names: Sequence[str], columns: Sequence[pa.StringArray]) -> NDArray[np.int64]:
    """The rows of years (M13) in a table of the U.S. Bureau of Labor Statistics.

    None where a series has no other rows.
    """
    called = {name.lower(): place for place, name in enumerate(names)}
    none = np.empty(0, np.int64)
    if not called.keys() >= _OF_BUREAU or not len(columns[0]):
        return none
    periods = pc.utf8_trim_whitespace(columns[called["period"]])
    letter = periods[0].as_py()[:1]
    known = pc.match_substring_regex(periods, rf"^{letter}\d\d$") if letter in _ANNUAL else None
    if known is None or not pc.all(known).as_py():
        return none
    annual = pc.equal(periods, _ANNUAL[letter])
    series = columns[called["series_id"]]
    others = series.filter(pc.invert(annual)).unique()
    if not pc.all(pc.is_in(series.filter(annual), others)).as_py():
        return none
    return np.flatnonzero(annual)
