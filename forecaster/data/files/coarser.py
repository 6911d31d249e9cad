"""Rows of years and quarters among rows of months, as statistical offices write them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecaster.data.times.styles import HALF_YEAR, QUARTER, read_dates

# the months of a period, and the styles of dates that tell it; the shortest first
_PERIODS = {
    "months": (1, ("%Y-%m", "%Y/%m", "%YM%m", "%Y %m", "%Y %b", "%b %Y")),
    "quarters": (3, (QUARTER,)),
    "half-years": (6, (HALF_YEAR,)),
    "years": (12, ("%Y",)),
}
_MOST = 10_000  # rows of such a table
# the years among numbered periods, as the U.S. Bureau of Labor Statistics writes them
_ANNUAL = {"M": "M13", "Q": "Q05", "S": "S03"}
_OF_BUREAU = {"series_id", "year", "period", "value", "footnote_codes"}


def coarser_rows(times: Sequence[str]) -> tuple[list[int], str]:
    """The rows whose period is longer than the shortest one of the column, and what they hold.

    None unless every cell is a month, a quarter, a half-year or a year, or is blank, and each of
    the longer ones is covered by rows of the shortest, its parts.
    """
    if len(times) > _MOST or not _by_kind(times[:2]):
        return [], ""
    cells = [*times]
    found = _by_kind(cells)
    if len(found) < 2 or sum(map(len, found.values())) < sum(map(bool, cells)):
        return [], ""
    shortest, *kinds = found
    covered = {month for months in found[shortest].values() for month in months}
    longer = {row: months for kind in kinds for row, months in found[kind].items()}
    if not all(covered.issuperset(months) for months in longer.values()):
        return [], ""
    return sorted(longer), " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))


def _by_kind(cells: Sequence[str]) -> dict[str, dict[int, range]]:
    """The months, counted from the year 0, of each row that is a period, by kinds of periods."""
    found: dict[str, dict[int, range]] = {}
    for kind, (size, styles) in _PERIODS.items():
        for style in styles:
            dates = read_dates(cells, style)
            for row in np.flatnonzero(dates.notna()).tolist():
                first = 12 * dates[row].year + dates[row].month
                found.setdefault(kind, {})[row] = range(first, first + size)
    return found


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
