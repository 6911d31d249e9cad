"""Columns that repeat what the time tells: month, weekday, hour."""

import re

import numpy as np
from numpy.typing import NDArray

# the names, without marks between their words, and the largest number of each
_LARGEST = {
    "year|yr": 3000,
    "quarter|qtr": 4,
    "month|mnth|monthofyear": 12,
    "week|weekofyear|weeknumber|isoweek": 53,
    "day|dayofmonth|dom": 31,
    "dayofyear|doy": 366,
    "weekday|dayofweek|dow": 7,
    "hour|hr|hourofday": 24,
}


def _largest(name: str) -> int | None:
    plain = re.sub(r"[\W_]", "", name.lower())
    return next((most for names, most in _LARGEST.items() if re.fullmatch(names, plain)), None)


def could_repeat(name: str) -> bool:
    """Whether a column is called like a part of the time."""
    return _largest(name) is not None


def repeats_the_calendar(name: str, values: NDArray[np.float64]) -> bool:
    """Whether a column of whole numbers is called like a part of the time, and in its range."""
    largest = _largest(name)
    if largest is None or not np.isfinite(values).all():
        return False
    return bool((values % 1 == 0).all() and values.min() >= 0 and values.max() <= largest)
