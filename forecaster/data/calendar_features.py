"""Covariates of the calendar: the places of a time in its day, week, month and year."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecaster.data.intervals import Interval
from forecaster.data.layout.words import listed
from forecaster.errors import UserError

_DAY = pd.Timedelta(days=1)
_YEAR = pd.Timedelta(days=365)
_ORDERS = (1, 2)  # of a period's harmonics

Array = NDArray[np.float64]


def calendar_groups(interval: Interval, wanted: str | None) -> tuple[str, ...]:
    """The groups of features that ``--calendar`` asks for, in a fixed order.

    ``auto`` are those that vary with the interval. ``time`` is a trend, which goes on for ever: it
    has to be asked for. Raises UserError for a group that the interval does not have.
    """
    if wanted is None or wanted == "none":
        return ()
    varying = _varying(interval)
    if wanted == "auto":
        return varying
    possible = (*varying, "time")
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in possible:
            raise UserError(
                f"--calendar {wanted}: there is no {name!r} for steps of {interval.alias}; give "
                f"auto, none, or some of {listed(possible)}"
            )
    return tuple(name for name in possible if name in names)


def calendar_features(stamps: pd.DatetimeIndex, groups: Sequence[str]) -> Array:
    """The features (n, F) of local wall-clock times, group by group."""
    parts = [_GROUPS[group](stamps) for group in groups]
    return np.concatenate([np.empty((len(stamps), 0)), *parts], axis=1)


def calendar_width(groups: Sequence[str]) -> int:
    """The number F of features."""
    return calendar_features(pd.DatetimeIndex([]), groups).shape[1]


def _varying(interval: Interval) -> tuple[str, ...]:
    step = least_step(interval)
    varies = {
        "hour": step < _DAY,
        "weekday": step <= _DAY,
        "day_of_year": step < _YEAR,
        "month_end": step == _DAY,
    }
    return tuple(name for name, does in varies.items() if does)


def least_step(interval: Interval) -> pd.Timedelta:
    """The least length of a step; of business days, a day."""
    if interval.of_business_days:
        return _DAY
    first, second = interval.stamps(pd.Timestamp("2001-06-04"), 2)
    return second - first


def _hour(stamps: pd.DatetimeIndex) -> Array:
    return _harmonics(_of_day(stamps))


def _weekday(stamps: pd.DatetimeIndex) -> Array:
    return _harmonics(stamps.weekday.to_numpy() / 7)


def _day_of_year(stamps: pd.DatetimeIndex) -> Array:
    return _harmonics((stamps.dayofyear.to_numpy() - 1) / _days_of_year(stamps))


def _month_end(stamps: pd.DatetimeIndex) -> Array:
    return (stamps.day == stamps.days_in_month).astype(np.float64)[:, None]


def _time(stamps: pd.DatetimeIndex) -> Array:
    """Years since 2000 began."""
    days = stamps.dayofyear.to_numpy() - 1 + _of_day(stamps)
    return (stamps.year.to_numpy() - 2000 + days / _days_of_year(stamps))[:, None]


def _of_day(stamps: pd.DatetimeIndex) -> Array:
    return ((stamps - stamps.normalize()) / _DAY).to_numpy(np.float64)


def _days_of_year(stamps: pd.DatetimeIndex) -> Array:
    return np.where(stamps.is_leap_year, 366.0, 365.0)


def _harmonics(places: Array) -> Array:
    """The sines, then the cosines (n, 4) of places in a period, from 0 to 1."""
    angles = 2 * np.pi * np.outer(places, _ORDERS)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


_GROUPS: dict[str, Callable[[pd.DatetimeIndex], Array]] = {
    "hour": _hour,
    "weekday": _weekday,
    "day_of_year": _day_of_year,
    "month_end": _month_end,
    "time": _time,
}
