"""Rows of years and quarters among rows of months, as statistical offices write them."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_YEAR, _MONTH = r"(?:1[5-9]|2[0-2])\d\d", r"(?:0[1-9]|1[0-2])"
_NAME = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
# the finest first
_PERIODS = {
    "months": rf"{_YEAR}[- /]?M?{_MONTH}|{_YEAR}[- ]?{_NAME}|{_NAME}[- ]?{_YEAR}",
    "quarters": rf"{_YEAR}[- ]?Q[1-4]|Q[1-4][- /]?{_YEAR}",
    "half-years": rf"{_YEAR}[- ]?[HS][12]|[HS][12][- /]?{_YEAR}",
    "years": _YEAR,
}
# the years among numbered periods, as the U.S. Bureau of Labor Statistics writes them
_ANNUAL = {"M": "M13", "Q": "Q05", "S": "S03"}
_ANY = re.compile("|".join(_PERIODS.values()), re.IGNORECASE)


def coarser_rows(times: pa.StringArray) -> tuple[NDArray[np.int64], str]:
    """The rows whose period is longer than the shortest one of the column, and what they hold.

    None unless every cell is a month, a quarter, a half-year or a year, or is blank.
    """
    first = next((cell.as_py() for cell in times[:2] if cell.as_py()), "")
    none = np.empty(0, np.int64)
    if _ANY.fullmatch(first) is None:
        return none, ""
    left = pc.not_equal(times, "")
    found: dict[str, NDArray[np.int64]] = {}
    for name, pattern in _PERIODS.items():
        of_kind = pc.match_substring_regex(times, f"^(?:{pattern})$", ignore_case=True)
        left = pc.and_(left, pc.invert(of_kind))
        if len(rows := np.flatnonzero(of_kind)):
            found[name] = rows
    if len(found) < 2 or pc.any(left).as_py():
        return none, ""
    return np.sort(np.concatenate([*found.values()][1:])), _listed([*found][1:])


def annual_rows(names: Sequence[str], columns: Sequence[pa.StringArray]) -> NDArray[np.int64]:
    """The rows of years in a table with ``series_id``, ``year``, and ``period`` M01 to M13."""
    called = {name.lower().replace(" ", "_"): place for place, name in enumerate(names)}
    if not {"series_id", "year", "period"} <= called.keys() or not len(columns[0]):
        return np.empty(0, np.int64)
    periods = pc.utf8_trim_whitespace(columns[called["period"]])
    letter = periods[0].as_py()[:1]
    known = pc.match_substring_regex(periods, rf"^{letter}\d\d$") if letter in _ANNUAL else None
    if known is None or not pc.all(known).as_py():
        return np.empty(0, np.int64)
    return np.flatnonzero(pc.equal(periods, _ANNUAL[letter]))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
