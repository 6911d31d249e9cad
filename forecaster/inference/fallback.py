"""Forecasts without a model: the season before, or the last value, spread by their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEWEST = 10  # errors of which quantiles are taken


@dataclass(frozen=True)
class Repeated:
    """The forecast of a series: ``centre`` (H,), and ``quantiles`` (Q, H).

    ``period``: the number of steps that it repeats; 1: the last value.
    """

    centre: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    period: int


def repeated(
    values: NDArray[np.float64],
    season: int,
    horizon: int,
    levels: Sequence[float],
    others: Sequence[NDArray[np.float64]],
) -> Repeated | None:
    """The forecast that follows a series (n,); None without a value, or without errors enough.

    ``others``: series of the same kind, in the units of their standard deviation times that of this
    one, whose errors are taken if its own are too few.
    """
    given = np.flatnonzero(~np.isnan(values))
    if not len(given):
        return None
    period = season if len(values) >= season else 1
    newest = np.full(period, given[-1])
    newest[given % period] = given  # later ones replace earlier ones
    targets = np.arange(len(values), len(values) + horizon)
    sources = newest[targets % period]
    repetitions = np.ceil((targets - sources) / period)
    centre = values[sources]
    if not levels:
        return Repeated(centre, np.empty((0, horizon)), period)
    lags = (repetitions * period).astype(int)
    known = {lag: _errors(values, others, lag) for lag in {period, *lags.tolist()}}
    if len(known[period]) < _FEWEST:
        return None
    quantiles = [_quantiles(known, period, lag, levels) for lag in lags.tolist()]
    return Repeated(centre, centre + np.stack(quantiles, axis=1), period)


def _errors(
    values: NDArray[np.float64], others: Sequence[NDArray[np.float64]], lag: int
) -> NDArray[np.float64]:
    """The changes within ``lag`` steps, with those of others where the series has too few."""
    errors = _changes(values, lag)
    if len(errors) < _FEWEST:
        errors = np.concatenate([errors, *(_changes(other, lag) for other in others)])
    return errors


def _quantiles(
    known: Mapping[int, NDArray[np.float64]], period: int, lag: int, levels: Sequence[float]
) -> NDArray[np.float64]:
    """The quantiles (Q,) of the errors with either sign; of too few those of one period, which grow
    as those of a random walk.
    """
    errors = known[lag]
    if len(errors) < _FEWEST:
        errors = known[period] * np.sqrt(lag / period)
    return np.quantile(np.concatenate([errors, -errors]), levels, method="weibull")


def _changes(values: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    """The changes (≤ n − lag) from a value to that ``lag`` steps later, where both are known."""
    changes = values[lag:] - values[:-lag]
    return changes[~np.isnan(changes)]
