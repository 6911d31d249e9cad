"""Rows that a file lacks regularly, such as a shop's Sundays, with --on-gap zero.

In the history they are rows of 0 without covariates. So are those of the future.
"""

import numpy as np
from numpy.typing import NDArray

from forecaster.data.intervals import Interval
from forecaster.data.periods import calendar_seasons
from forecaster.data.tables import Series

_FEWEST, _MOST = 4, 8  # times that a place in a season has come round


def usually_lacking(series: Series, interval: Interval, steps: int) -> NDArray[np.bool_]:
    """Which of the ``steps`` (steps,) after the values are at a place of the day, week or year at
    which the file has had no row, all of the last eight times, or of four at least.
    """
    rows = len(series.values)
    found = np.zeros(steps, bool)
    history = series.put_in[:rows]
    if not history.any():
        return found
    for season in calendar_seasons(interval):
        for place in range(min(season, steps)):
            before = history[: max(rows + place - season + 1, 0)][::-season]
            if len(before) >= _FEWEST and before[:_MOST].all():
                found[place::season] = True
    return found


def taken_as_put_in(series: Series, interval: Interval, steps: int) -> NDArray[np.bool_]:
    """Which of the ``steps`` after the values, or of the longer future that is given, count as rows
    that --on-gap zero puts in: those that the future lacks before its last row, or regularly.
    """
    given = ~series.put_in[len(series.values) :]
    there = np.zeros(max(steps, len(given)), bool)
    there[: len(given)] = given
    last = int(np.flatnonzero(there)[-1]) if there.any() else -1
    places = np.arange(len(there))
    return ~there & ((places < last) | usually_lacking(series, interval, len(there)))
