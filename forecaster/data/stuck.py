"""Values that stay the same for long in a column that otherwise changes, as of a stuck sensor."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from forecaster.data.digits import shortest
from forecaster.data.tables import Table

# rows of one value that are many, by themselves and beside the longest run that is usual
_MANY, _TIMES = 24, 8
# what is usual: all runs but the three longest, of which there have to be twenty, of four rows at
# most; where values stay for longer they may be prices or rates
_LONGEST, _FEWEST, _STEADY = 3, 20, 4
_ALIKE = 0.8  # two long runs of a weekend each
_SHOWN = 3

# series, column, first and last row of a run
Run = tuple[int, int, int, int]


def stuck(table: Table, rows: int | None = None) -> list[str]:
    """What to tell about values that are stuck, in one line.

    ``rows``: the last of each series, into which a run has to reach (None: any). Not told are runs
    of 0, of the least or the largest value, which may be a limit or a code for missing values, and
    several of nearly one length, which may be closed days filled.
    """
    found = [run for k in range(len(table.names)) for run in _of_column(table, k, rows)]
    if not found:
        return []
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return [
        "one value for long, where others change: "
        f"{'; '.join(_in_words(table, run) for run in found[:_SHOWN])}{more}; if these were not "
        "measured, leave their cells blank"
    ]


def _in_words(table: Table, run: Run) -> str:
    number, k, first, last = run
    series, name = table.series[number], f"column '{table.names[k]}'"
    place = name if series.item_id is None else f"series '{series.item_id}', {name}"
    since, until = (
        table.clock.said(table.interval.stamp(series.first, row)) for row in (first, last)
    )
    value = shortest(series.values[first, k])
    return f"{place}: {value} in {last - first + 1:,} rows, {since} to {until}"


def _of_column(table: Table, k: int, rows: int | None) -> Iterator[Run]:
    values = np.concatenate([series.values[:, k] for series in table.series])
    ends = np.cumsum([len(series.values) for series in table.series])
    starts, lengths = _runs(values, ends[:-1])
    many = (lengths >= _MANY) & (values[starts] != 0)
    if not many.any():
        return
    owners = np.searchsorted(ends, starts, side="right")
    for number in np.unique(owners[many]).tolist():
        own = slice(*np.searchsorted(owners, [number, number + 1]))
        own_values = table.series[number].values[:, k]
        least = max(_MANY, _TIMES * _usual(lengths[own]))
        limits = {0.0, np.nanmin(own_values), np.nanmax(own_values)}
        begins = int(ends[number]) - len(own_values)
        runs = [
            (int(start) - begins, int(length))
            for start, length in zip(starts[own], lengths[own], strict=True)
            if length >= least and values[start] not in limits
        ]
        for first, length in runs:
            alike = sum(_ALIKE * length <= other <= length / _ALIKE for _, other in runs) > 1
            last = first + length - 1
            if not alike and (rows is None or last >= len(own_values) - rows):
                yield number, k, first, last


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
    """The longest run that is usual; infinite where that cannot be told."""
    usual = np.sort(lengths)[:-_LONGEST]
    if len(usual) < _FEWEST or usual[-1] > _STEADY:
        return float("inf")
    return float(usual[-1])
