"""Limits of time: how they are written, and how much of one is left."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from forecaster.errors import UserError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(given: str | float, name: str = "--time-limit") -> float:
    """The seconds of ``10m``, ``90s``, ``2h`` or a number; UserError (on ``name``) for others."""
    found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([a-z]*)\s*", str(given).lower())
    seconds = float(found[1]) * _UNITS.get(found[2], math.nan) if found else math.nan
    if isinstance(given, bool) or not 0 < seconds < math.inf:
        raise UserError(f"{name} {given}: not a time; write 90s, 10m, 2h or a number of seconds")
    return seconds


@dataclass(frozen=True)
class Limit:
    """A limit of ``seconds``, which ends when ``clock`` shows ``end``.

    One that ``suspends`` leaves what it stops to be resumed, in place of ending it as it is. One of
    ``whole`` work is for what is of no use if it is stopped. Neither is shared out.
    """

    seconds: float
    end: float
    clock: Callable[[], float] = time.monotonic
    suspends: bool = False
    whole: bool = False

    def left(self) -> float:
        """The seconds left, negative after the end."""
        return self.end - self.clock()

    def over(self, reserve: float = 0.0) -> bool:
        """Whether no more than ``reserve`` seconds are left."""
        return self.left() <= reserve

    def share(self, fraction: float) -> "Limit":
        """The limit that ends when ``fraction`` of what is left now has passed."""
        if self.suspends or self.whole:
            return self
        left = max(self.left(), 0.0) * fraction
        return replace(self, seconds=left, end=self.clock() + left)

    def used(self, seconds: float) -> "Limit":
        """The limit with ``seconds`` less, which an earlier process has used."""
        return replace(self, end=self.end - seconds)


def limit_of(
    given: str | float | None,
    name: str = "--time-limit",
    clock: Callable[[], float] = time.monotonic,
) -> Limit | None:
    """The limit that begins now, if one is given."""
    if given is None:
        return None
    seconds = seconds_of(given, name)
    return Limit(seconds, clock() + seconds, clock)


def in_words(seconds: float) -> str:
    """A time in coarse words, rounded up: ``8 s``, ``45 s``, ``12 min``, ``3.5 h``."""
    if seconds <= 10:
        return f"{max(math.ceil(seconds), 1)} s"
    if seconds <= 95:
        return f"{math.ceil(seconds / 5) * 5} s"
    if seconds <= 95 * 60:
        return f"{math.ceil(seconds / 60)} min"
    return f"{math.ceil(seconds / 1800) / 2:g} h"
