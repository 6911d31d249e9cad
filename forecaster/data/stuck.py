"""Values that stay the same for long in a column that otherwise changes, as of a stuck sensor."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forecaster.data.digits import shortest
from forecaster.data.tables import Table

# equal values in a row: so many at least, and so many times as many as usual
_LONG, _FACTOR = 24, 8
# runs of a column that may be stuck, and the fewest and longest others that tell what is usual
_MOST, _FEWEST, _USUAL = 3, 20, 4
_SHOWN = 3


def stuck(table: Table, rows: int | None = None) -> list[str]:
    """What to tell about values that are stuck, in one line.

    ``rows``: the last of each series, into which a run has to reach (None: any). A run of 0 may be
    nothing in a row, and is not told.
    """
    found = [said for k in range(len(table.names)) for said in _of_column(table, k, rows)]
    if not found:
        return []
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return [
        f"one value for long, where others change: {'; '.join(found[:_SHOWN])}{more}; if these "
        "were not measured, leave their cells blank"
    ]


def _of_column(table: Table, k: int, rows: int | None) -> Iterator[str]:
    values = np.concatenate([series.values[:, k] for series in table.series])
    ends = np.cumsum([len(series.values) for series in table.series])
    starts, lengths = _runs(values, ends[:-1])
    long = (lengths >= _LONG) & (values[starts] != 0)
    owners = np.searchsorted(ends, starts, side="right")
    for number in np.unique(owners[long]).tolist():
        series, own = table.series[number], owners == number
        least = _FACTOR * _usual(lengths[own])
        name = f"column '{table.names[k]}'"
        place = name if series.item_id is None else f"series '{series.item_id}', {name}"
        begins = int(ends[number]) - len(series.values)
        for start, length in zip(starts[own & long], lengths[own & long], strict=True):
            first, last = int(start) - begins, int(start + length) - begins - 1
            if length < least or (rows is not None and last < len(series.values) - rows):
                continue
            since, until = (
                table.clock.said(table.interval.stamp(series.first, row)) for row in (first, last)
            )
            yield f"{place}: {shortest(values[start])} in {length:,} rows, {since} to {until}"


def _runs(
    values: NDArray[np.float64], borders: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where runs of equal values begin, and their lengths; one ends at ``borders``, and at a
    missing value, which is a run by itself.
    """
    begins = np.append(True, values[1:] != values[:-1])
    begins[borders] = True
    starts = np.flatnonzero(begins)
    return starts, np.diff(starts, append=len(values))


def _usual(lengths: NDArray[np.int64]) -> float:
    """The longest run but those that may be stuck; infinite if that tells nothing."""
    usual = np.sort(lengths)[:-_MOST]
    if len(usual) < _FEWEST or usual[-1] > _USUAL:
        return float("inf")
    return float(usual[-1])
