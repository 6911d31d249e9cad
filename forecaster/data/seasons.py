"""The seasons of a table's training rows: those of the calendar that the data show, and others.

A season s is judged by the autocorrelation at lag s of what a centred moving average of s steps
leaves of a series. The averages around two values s steps apart have no value in common, so that
this correlation is 0 for noise, trends and random walks. Its standard error is Bartlett's, from the
autocorrelation of the values without their mean at each place of the season. Longer seasons are
looked for in the means over the shorter ones that were found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecaster.config.schema import DataConfig
from forecaster.data.intervals import Interval
from forecaster.data.periods import calendar_seasons, repeated, seasons_in_words

Column = NDArray[np.float64]

# as many columns and rows are looked at as take a second or two
_MOST_COLUMNS, _MOST_ROWS = 48, 60_000
# the least autocorrelation of a season, and by how many standard errors it differs from 0
_LEAST, _ERRORS = 0.2, 2.0
# those of a season that is not the calendar's, and the least number of its repetitions
_LEAST_OTHER, _ERRORS_OTHER, _CYCLES_OTHER = 0.5, 4.0, 4
# columns share their noise, so that no more than these count as independent
_INDEPENDENT = 16
# the variance that rounding leaves of a straight line of variance 1, and the step of a value of 1
_ROUNDING, _ROUNDED = 1e-18, 1e-12
# the number of other seasons that are judged
_PEAKS = 8


def seasons_of(config: DataConfig, interval: Interval) -> tuple[int, ...]:
    """The seasons in steps, the main one first: the configuration's, else the interval's own."""
    return (interval.season,) if config.seasons is None else config.seasons


def slower(seasons: tuple[int, ...] | None, rate: int) -> tuple[int, ...] | None:
    """The seasons at ``rate`` times the interval, without those of no whole number of its steps."""
    if seasons is None or seasons == (1,):
        return seasons
    return tuple(s // rate for s in seasons if s % rate == 0 and s > rate) or (1,)


def seasonal_errors(values: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    """MASE's scale (K,): the mean |y_t − y_{t−season}| of training rows (n, K).

    Hyndman and Koehler (2006). nan where no such pair is observed. If there are fewer rows than the
    season is long, neighbouring rows are compared, as in GluonTS. Steps of the size of the values'
    rounding are none.
    """
    lag = season if season < len(values) else 1
    steps = np.abs(values[lag:] - values[:-lag])
    steps = np.where(steps <= _ROUNDED * np.abs(values[lag:]), 0.0, steps)
    counts = (~np.isnan(steps)).sum(axis=0)
    return np.where(counts > 0, np.nansum(steps, axis=0) / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True)
class Found:
    """Seasons in steps, the main one first, (1,) for none; ``shown``: by the data, or taken from
    the calendar, since the rows are too few to tell.
    """

    steps: tuple[int, ...]
    shown: bool

    def reason(self, interval: Interval) -> str:
        """The finding in words."""
        if self.steps == (1,):
            return "no season found in the training rows: seasonal naive repeats the last value"
        named = seasons_in_words(interval, self.steps)
        if not self.shown:
            return f"season {named}, by the calendar: too few rows to tell from the data"
        name, naive = (
            "season" if len(self.steps) == 1 else "seasons",
            repeated(interval, self.steps[0]),
        )
        return f"{name} {named}, found in the training rows; seasonal naive repeats the {naive}"


def find_seasons(series: Sequence[NDArray[np.float64]], interval: Interval) -> Found:
    """The seasons of training rows (n, K).

    The main one has the smallest mean change |y_t − y_{t−s}|, in deviations of its column. Rows
    that are too few to show the interval's own season, or its absence, are taken to have it.
    """
    columns = _columns(series)
    found = _found(columns, interval) if columns else []
    if found:
        changes = {season: _change(columns, season) for season in found}
        main = min(found, key=lambda season: changes[season])
        return Found((main, *(season for season in found if season != main)), True)
    longest = max(len(values) for values in series)
    if longest < 3 * interval.season and interval.season > 1:
        return Found((interval.season,), False)
    return Found((1,), True)


def _columns(series: Sequence[NDArray[np.float64]]) -> list[Column]:
    """Columns that vary, evenly spaced among all, of standard deviation 1."""
    width = series[0].shape[1]
    count = len(series) * width
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_COLUMNS)).astype(int))
    columns = [series[i // width][-_MOST_ROWS:, i % width] for i in chosen]
    varying = [(c, np.nanstd(c)) for c in columns if not np.isnan(c).all()]
    return [c / std for c, std in varying if std > 1e-12 * np.nanmax(np.abs(c))]


@dataclass(frozen=True)
class _Strength:
    """The autocorrelation at a season's lag, the mean of the columns; its standard error; and the
    ``best`` at the lags around it.
    """

    value: float
    error: float
    best: float


def _found(columns: Sequence[Column], interval: Interval) -> list[int]:
    """The seasons, ascending."""
    candidates, found, step = list(calendar_seasons(interval)), [], 1
    other = _other_season(columns, candidates)
    if other is not None:
        found, step, columns = [other], other, [_means(c, other) for c in columns]
    for season in candidates:
        length = round(season / step)
        fits = length > 1 and abs(season / step - length) <= 0.02 * length
        if fits and _is_season(columns, length):
            found.append(season)
            step, columns = season, [_means(c, length) for c in columns]
    return found


def _is_season(columns: Sequence[Column], season: int) -> bool:
    """Whether the data show a season of the calendar, and none of similar length more clearly."""
    strength = _strength(columns, season, _LEAST)
    if strength is None or strength.value < _ERRORS * strength.error:
        return False
    return strength.value >= min(0.9 * strength.best, strength.best - 2 * strength.error)


def _other_season(columns: Sequence[Column], calendar: Sequence[int]) -> int | None:
    """A season that is not the calendar's, if the data show it clearly and no shorter one explains
    it; None, too, if one of the calendar's explains it.
    """
    strong: dict[int, _Strength] = {}
    for lag in _peaks(columns):
        strength = _strength(columns, lag, _LEAST_OTHER)
        if strength is not None and strength.value >= _ERRORS_OTHER * strength.error:
            strong[lag] = strength
    if not strong:
        return None
    highest = max(strength.value for strength in strong.values())
    shortest = min(lag for lag, strength in strong.items() if strength.value >= 0.9 * highest)
    explained = any(_explains(columns, s, shortest, strong[shortest]) for s in calendar)
    return None if explained else shortest


def _explains(columns: Sequence[Column], season: int, lag: int, found: _Strength) -> bool:
    """Whether a season of the calendar is as clear as a lag that is near it or a multiple of it."""
    if abs(lag - season) <= max(season // 12, 1):
        return _strength(columns, season, 0.9 * found.value) is not None
    least = min(0.9 * found.value, found.value - 2 * found.error)
    return lag % season == 0 and _strength(columns, season, least) is not None


def _peaks(columns: Sequence[Column]) -> list[int]:
    """The first lags where the mean autocorrelation, without slow changes, has a high maximum."""
    longest = max(len(c) for c in columns) // _CYCLES_OTHER
    if longest < 2:
        return []
    curves = [
        np.pad(r, (0, longest + 2 - len(r)))
        for r in (_autocorrelation(_without_trend(c, longest), longest + 1) for c in columns)
    ]
    mean = np.mean(curves, axis=0)
    inner = np.arange(2, longest + 1)
    tops = inner[(mean[inner] >= mean[inner - 1]) & (mean[inner] > mean[inner + 1])]
    high = tops[mean[tops] >= 0.75 * mean[tops].max(initial=0.0)]
    return high[:_PEAKS].tolist()


def _strength(columns: Sequence[Column], season: int, least: float) -> _Strength | None:
    """The strength of a season; None if it is less than ``least``, or no column has two seasons."""
    rests = [_without_trend(c, season) for c in columns if _is_long(c, season)]
    if not rests:
        return None
    reach = max(season // 12, 1)
    curve = np.mean([_autocorrelation(rest, season + reach) for rest in rests], axis=0)
    if curve[season] < least:
        return None
    error = float(np.mean([_error(rest, season) for rest in rests]))
    independent = min(len(rests), _INDEPENDENT)
    best = float(curve[max(season - reach, 1) :].max())
    return _Strength(float(curve[season]), error / np.sqrt(independent), best)


def _is_long(x: Column, season: int) -> bool:
    """Whether a column has two seasons, and as many pairs of known values as a season at least."""
    if len(x) < 2 * season + 2:
        return False
    return 2 * int(np.isfinite(x[season:] - x[:-season]).sum()) >= season + 2


def _error(rest: Column, season: int) -> float:
    """The standard error of the autocorrelation at a season's lag, if there were none."""
    noise = _autocorrelation(rest - _pattern(rest, season), season)
    pairs = int(np.isfinite(rest[season:] - rest[:-season]).sum())
    return float(np.sqrt((1 + 2 * (noise[1:] ** 2).sum()) / pairs))


def _without_trend(x: Column, window: int) -> Column:
    """The values less their centred average over ``window`` steps; shorter at the ends."""
    known = np.isfinite(x)
    place = np.arange(len(x), dtype=np.float64)
    place -= place[known].mean()
    slope = (place[known] * x[known]).sum() / max((place[known] ** 2).sum(), 1e-12)
    y = x - slope * place
    sums, counts = (
        np.concatenate([[0.0], np.cumsum(each)]) for each in (np.where(known, y, 0.0), known)
    )
    total, number = np.zeros(len(x)), np.zeros(len(x))
    for shift in {0, 1 - window % 2}:  # an even window has no centre: the mean of two
        first = np.arange(len(x)) - window // 2 + shift
        low, high = first.clip(0, len(x)), (first + window).clip(0, len(x))
        total += sums[high] - sums[low]
        number += counts[high] - counts[low]
    return y - total / np.maximum(number, 1)


def _pattern(x: Column, season: int) -> Column:
    """The mean at each value's place in the season."""
    known, place = np.isfinite(x), np.arange(len(x)) % season
    sums = np.bincount(place[known], x[known], season)
    counts = np.bincount(place[known], minlength=season)
    return (sums / np.maximum(counts, 1))[place]


def _autocorrelation(x: Column, longest: int) -> NDArray[np.float64]:
    """At lags 0 to ``longest``, from the pairs that are known; 0 without any."""
    known = np.isfinite(x)
    longest = min(longest, len(x) - 1)
    size = 1 << (len(x) + longest).bit_length()
    products, pairs = (
        np.fft.irfft(np.abs(np.fft.rfft(each, size)) ** 2, size)[: longest + 1]
        for each in (np.where(known, x, 0.0), known.astype(np.float64))
    )
    variance = products[0] / max(pairs[0], 1)
    if variance < _ROUNDING:
        return np.zeros(longest + 1)
    return np.where(pairs > 0.5, products / np.maximum(pairs, 1) / variance, 0.0)


def _means(x: Column, length: int) -> Column:
    """The means of stretches, counted from the end; nan where less than half of one is known."""
    count = len(x) // length
    blocks = x[len(x) - count * length :].reshape(count, length)
    known = np.isfinite(blocks).sum(axis=1)
    total = np.nansum(blocks, axis=1) / np.maximum(known, 1)
    return np.where(2 * known >= length, total, np.nan)


def _change(columns: Sequence[Column], season: int) -> float:
    """The mean of |y_t − y_{t−season}| over the columns."""
    steps = [np.abs(c[season:] - c[:-season]) for c in columns if len(c) > season]
    known = [step[np.isfinite(step)] for step in steps]
    return float(np.mean([step.mean() for step in known if len(step)]))
