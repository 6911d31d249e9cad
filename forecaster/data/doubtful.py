"""Values that may not be what they seem: codes for missing ones, totals, another unit or scale."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecaster.data.layout.words import listed, option
from forecaster.data.missing import suspected_codes, suspicion
from forecaster.data.tables import Series, Table

# rounding, of a total of values that are written with few digits
_ROUNDING = 1e-3
_FEWEST = 8  # rows
_FEW = 20  # columns that an option names
# how many times larger or smaller values are that are of another unit, not of another time
_FAR = 20.0


def doubtful_values(table: Table, missing: Sequence[str] | None) -> list[str]:
    """Decisions about value columns with numbers that seem to be codes, that never change, or that
    are the sum of all others. ``missing``: the codes that are named already.
    """
    said, constant = [], []
    for k, name in enumerate(table.names):
        values = np.concatenate([series.values[:, k] for series in table.series])
        if found := suspected_codes(values):
            said.append(suspicion(name, found, missing or ()))
        known = values[~np.isnan(values)]
        if len(known) >= _FEWEST and known.min() == known.max():
            constant.append(name)
    if constant and len(constant) < len(table.names):
        varied = [name for name in table.names if name not in constant]
        said.append(
            f"{listed(constant)}: the same value in all rows, forecast and scored all the same; to "
            f"leave out what is none, name the others with {_target(varied)}"
        )
    return [*said, *_totals(table)]


def _totals(table: Table) -> list[str]:
    """A decision about the column, or the series, that is the sum of all others at every time."""
    if len(table.names) > 2:
        values = np.concatenate([series.values for series in table.series])
        place = _total(values)
        names, what, remedy = table.names, "column", ""
    elif len(table.names) == 1 and len(table.series) > 2 and _of_one_time(table.series):
        place = _total(np.concatenate([series.values for series in table.series], axis=1))
        names = tuple(series.item_id or "" for series in table.series)
        what, remedy = "series", "leave its rows out of the file"
    else:
        return []
    if place is None:
        return []
    others = [name for number, name in enumerate(names) if number != place]
    remedy = remedy or f"name the others with {_target(others)}"
    return [
        f"{what} '{names[place]}' is the sum of all others: forecast and scored as one more, and "
        f"its forecast need not be their sum; if it is not wanted, {remedy}"
    ]


def _target(names: Sequence[str]) -> str:
    return option("target", names) if len(names) <= _FEW else "--target"


def _of_one_time(series: Sequence[Series]) -> bool:
    return len({(each.first, len(each.values)) for each in series}) == 1


def _total(values: NDArray[np.float64]) -> int | None:
    """The column of (n, K) that is the sum of all others in each row that has them all."""
    rows = values[~np.isnan(values).any(axis=1)]
    if len(rows) < _FEWEST:
        return None
    sums, size = rows.sum(axis=1), np.abs(rows).sum(axis=1)
    off = np.abs(sums[:, None] - 2 * rows) <= _ROUNDING * size[:, None]
    varied = rows.std(axis=0) > 0
    found = np.flatnonzero(off.all(axis=0) & varied)
    return int(found[0]) if len(found) == 1 else None


def codes_read(table: Table, rows: int, missing: Sequence[str] | None) -> list[str]:
    """What to tell about suspected codes in the last ``rows`` of the series of a table."""
    said = []
    for k, name in enumerate(table.names):
        values = np.concatenate([series.values[:, k] for series in table.series])
        recent = np.concatenate([series.values[-rows:, k] for series in table.series])
        found = [each for each in suspected_codes(values) if (recent == each.value).any()]
        said += [suspicion(name, found, missing or ())] if found else []
    return said


def other_scale(
    recent: NDArray[np.float64], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> list[int]:
    """The channels of recent values (n, K) that are of another size than in the training rows.

    Their root mean square is more than ``_FAR`` times larger or smaller than that of a training of
    this ``mean`` and ``std`` (K,); values that are all 0 are of any size.
    """
    count = (~np.isnan(recent)).sum(axis=0)
    size = np.sqrt(np.nansum(recent**2, axis=0) / np.maximum(count, 1))
    before = np.sqrt(mean**2 + std**2)
    ratio = size / np.maximum(before, 1e-300)
    far = (ratio > _FAR) | ((ratio < 1 / _FAR) & (size > 0))
    return [int(k) for k in np.flatnonzero(far & (before > 0) & (count > 0))]
