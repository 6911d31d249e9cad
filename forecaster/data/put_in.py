"""Rows that a file lacks, with --on-gap zero: of 0, without covariates, such as a shop's Sundays.

In the future such rows are those at a time of the week at which the history has none, and as many
others before a row that is there as the longest gap of the history has.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.tables import Series, Table

_FEWEST, _MOST = 4, 8  # weeks
_WEEK = pd.Timedelta(weeks=1)


def usually_put_in(table: Table, series: Series, steps: int) -> NDArray[np.bool_]:
    """Which of the ``steps`` (steps,) after the values are at a local time of the week at which the
    history has had no row in the last eight weeks, or in four at least.

    The weeks are those before the last row that the file has.
    """
    rows, found = len(series.values), np.zeros(steps, bool)
    history = series.put_in[:rows]
    there = np.flatnonzero(~history)
    tick = table.interval.tick
    if not history.any() or not len(there) or tick is None or _WEEK % tick != pd.Timedelta(0):
        return found
    end = int(there[-1]) + 1
    begin = max(end - _MOST * int(_WEEK / tick), 0)
    if end - begin < _FEWEST * int(_WEEK / tick):
        return found
    stamps = table.clock.local(table.interval.stamps(series.first, rows + steps))
    times = _time_of_the_week(stamps)
    with_rows = np.unique(times[begin:end][~history[begin:end]])
    return ~np.isin(times[rows:], with_rows)


def _time_of_the_week(stamps: pd.DatetimeIndex) -> NDArray[np.int64]:
    """Seconds since Monday, 0:00."""
    seconds = (stamps - stamps.normalize()).total_seconds().to_numpy()
    return (stamps.weekday.to_numpy() * 86_400 + seconds).astype(np.int64)


def put_in_ahead(table: Table, series: Series, steps: int) -> NDArray[np.bool_]:
    """Which of the ``steps`` after the values, or of the longer future that is given, count as rows
    that --on-gap zero puts in.
    """
    rows = len(series.values)
    given = ~series.put_in[rows:]
    there = np.zeros(max(steps, len(given)), bool)
    there[: len(given)] = given
    longest = max((b - a for a, b in _gaps(series.put_in[:rows])), default=0)
    usual = usually_put_in(table, series, len(there)) & ~there
    found = usual.copy()
    for a, b in _gaps(~there):
        if b < len(there) and (~usual[a:b]).sum() <= longest:
            found[a:b] = True
    return found


def _gaps(lacking: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Begin and end of each run of rows that are not there."""
    edges = np.flatnonzero(np.diff(np.pad(lacking.astype(np.int8), 1)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
