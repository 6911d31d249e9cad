"""One sentence in place of a table: whether the forecasts are better than repeating the season."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecaster.data.intervals import Interval
from forecaster.data.periods import repeated
from forecaster.evaluation.compare import Comparison, compare
from forecaster.evaluation.score import WindowScores

# as many origins as are compared at most, evenly thinned out
_MOST = 1000


@dataclass(frozen=True)
class Paired:
    """Mean absolute errors by origin (n,), the forecasts' and seasonal naive's, of ``series``
    series; the targets of an origin overlap those of ``overlap`` − 1 origins after it.
    """

    losses: NDArray[np.float64]
    baseline: NDArray[np.float64]
    overlap: int
    series: int = 1


def paired(
    found: WindowScores,
    naive: WindowScores,
    owners: NDArray[np.int64],
    ends: NDArray[np.int64],
    horizon: int,
) -> Paired:
    """The point forecast's errors beside seasonal naive's on the same windows (W,), averaged over
    the series at each origin.

    ``owners`` (W,) number the windows' series, ``ends`` (W,) tell how many steps before its series'
    end a window's first target lies: origins are counted back from there.
    """
    absolute = found.errors if found.absolute is None else found.absolute
    both = np.stack([absolute.numpy(), naive.errors.numpy()])  # (2, W)
    places = np.unique(ends)[:: -(-len(np.unique(ends)) // _MOST)]
    means = np.array([_known_mean(both[:, ends == place]) for place in places[::-1]])
    means = means[np.isfinite(means).all(1)]
    gap = int(np.diff(places).min()) if len(places) > 1 else horizon
    return Paired(means[:, 0], means[:, 1], -(-horizon // gap), len(np.unique(owners)))


def _known_mean(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, w) → (2,), over the windows where both are known; nan where none is."""
    known = np.isfinite(errors).all(0)
    return errors[:, known].mean(1) if known.any() else np.full(2, np.nan)


def verdict(
    pairs: Paired, interval: Interval, held: float | None = None, season: int | None = None
) -> str:
    """The sentence. ``held``: the share of values that the 90 % intervals covered; ``season``: what
    seasonal naive repeats (None: the interval's own).
    """
    sentence = _finding(pairs, repeating(interval, season or interval.season))
    return sentence + ("." if held is None else f"; 90 % intervals held {100 * held:.0f} %.")


def _finding(pairs: Paired, naive: str) -> str:
    count = len(pairs.losses)
    if count == 0:
        return "No past window has a value to judge the forecasts by"
    if count == 1:
        return (
            "There is one past window only: too few to tell whether the forecasts are closer than "
            f"{naive}"
        )
    if not pairs.baseline.any() and pairs.losses.any():
        further = f"THE FORECASTS WERE FURTHER OFF THAN {naive.upper()}"
        return f"{_where(pairs)} {further}, which was exact"
    found = compare("the forecasts", pairs.losses, naive, pairs.baseline, pairs.overlap)
    return f"{_where(pairs)} {_compared(found, naive)}"


def _where(pairs: Paired) -> str:
    if pairs.series == 1:
        return f"On {len(pairs.losses)} past windows"
    return f"From {len(pairs.losses)} past origins of {pairs.series} series"


def _compared(found: Comparison, naive: str) -> str:
    percent, low, high = (round(value) for value in (found.percent, found.low, found.high))
    if found.low > 0:
        interval = f"95 % interval {low} to {high} %"
        return f"the forecasts were {percent} % closer than {naive} ({interval})"
    if found.high < 0:
        interval = f"95 % interval {-high} to {-low} %"
        return f"THE FORECASTS WERE {-percent} % FURTHER OFF THAN {naive.upper()} ({interval})"
    interval = f"95 % interval {low} to {high} %"
    return f"the forecasts cannot be told apart from {naive} ({percent} % closer, {interval})"


def repeating(interval: Interval, season: int) -> str:
    """Seasonal naive in words: ``repeating the last week``."""
    return f"repeating the {repeated(interval, season)}"
