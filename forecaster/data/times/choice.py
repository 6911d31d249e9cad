"""Which reading of dates that can be read in several ways is meant: what calendars know of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecaster.data.intervals import find_interval

_ENOUGH = 12  # regular times, before which two regular readings are left open
_MONTH = pd.Timedelta(days=28)


@dataclass(frozen=True)
class _Fit:
    """How well a reading fits a calendar; all are numbers of times but ``oddness``.

    ``oddness``: 0 of the first days of months, 1 of shorter steps, 2 of months on another day.
    """

    times: int
    misfits: int
    reversals: int
    oddness: int


def likely(readings: Mapping[str, pd.DatetimeIndex]) -> list[str]:
    """The readings among which nothing decides; those with the same times count once.

    ``readings``: the times (n,) in each, without NaT, in the order of the file. One that is regular
    and in order excludes those that are neither. Of several regular ones, of twelve times or more,
    first days of months are likelier than the first twelve days of January, and these than the
    same other day of each month.
    """
    kept: dict[str, pd.DatetimeIndex] = {}
    for name, times in readings.items():
        if not any(times.equals(other) for other in kept.values()):
            kept[name] = times
    if len(kept) < 2:
        return list(kept)
    fits = {name: _fit(times) for name, times in kept.items()}
    sorted_best = min(fit.reversals for fit in fits.values())
    faults = {name: fit.misfits + fit.reversals - sorted_best for name, fit in fits.items()}
    regular = [name for name in kept if faults[name] <= fits[name].times / 20]
    if not regular:
        return list(kept)
    worst, fewest = max(faults[n] for n in regular), min(fits[n].times for n in regular)
    share = 2 if fewest < _ENOUGH else 5
    rivals = [n for n in kept if faults[n] < max(fits[n].times / share, 10 * worst)]
    if len(rivals) == 1 or set(rivals) != set(regular) or fewest < _ENOUGH:
        return rivals
    least = min(fits[name].oddness for name in rivals)
    return [name for name in rivals if fits[name].oddness == least]


def is_regular(times: pd.DatetimeIndex) -> bool:
    """Whether times (n,), in the order of the file, are in order and hardly one is missing."""
    fit = _fit(times)
    return fit.misfits + fit.reversals <= fit.times / 20


def _fit(times: pd.DatetimeIndex) -> _Fit:
    steps = np.diff(times.to_numpy(np.int64))
    reversals = int(min((steps < 0).sum(), (steps > 0).sum()))
    unique = pd.DatetimeIndex(np.unique(times.to_numpy()))
    if len(unique) < 2:
        return _Fit(len(unique), 0, reversals, 2)
    interval = find_interval([unique])
    assert interval is not None
    if interval.tick is not None and unique[-1].value - unique[0].value > np.iinfo(np.int64).max:
        return _Fit(len(unique), len(unique), reversals, 2)
    places = interval.positions(unique)
    on_grid = np.unique(places[places >= 0])
    missing = int(on_grid[-1]) + 1 - len(on_grid)
    oddness = 1
    if unique[1:].size and (unique[1:] - unique[:-1]).min() >= _MONTH:
        oddness = 0 if bool((unique.day == 1).all()) else 2
    return _Fit(len(unique), missing + len(unique) - len(on_grid), reversals, oddness)
