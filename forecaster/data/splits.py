"""Training, validation and test borders of a series, and the scaling fitted on its training
rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from forecaster.errors import UserError

Part = Literal["train", "validation", "test"]
_FARTHEST = 1e12  # deviations: their squares, and sums of these, stay within float32
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Borders:
    """Rows [0, train), [train, validation), [validation, test) of one series. Targets lie inside
    their own part.
    """

    train: int
    validation: int
    test: int

    def part(self, name: Part) -> tuple[int, int]:
        """First row and end of a part."""
        return {
            "train": (0, self.train),
            "validation": (self.train, self.validation),
            "test": (self.validation, self.test),
        }[name]


def target_rows(border: Borders, part: Part, lookback: int, horizon: int) -> tuple[int, int]:
    """First row and end of the targets of a part's windows.

    Those of training have their whole history in the training rows. Where these are fewer than
    lookback + horizon, the history is padded and holds half of what there is at least; otherwise
    every training window has a full one, as in the protocol.
    """
    first, end = border.part(part)
    if part == "train":
        room = end - horizon
        first = lookback if room >= lookback else room // 2
    return first, end


def first_targets(first: int, end: int, horizon: int) -> range:
    """The rows that a window's first target may be, one a window: all ``horizon`` targets lie in
    [first, end), and a row of history before them.
    """
    return range(max(first, 1), end - horizon + 1)


def share_borders(length: int, train: float, test: float) -> Borders:
    """The benchmark rule: the first share trains, the last tests, the rest validates."""
    return Borders(int(train * length), length - int(test * length), length)


def tail_borders(length: int, horizon: int) -> Borders:
    """The rule for a user's own file: the last fifth tests, the tenth before it validates, a
    horizon each at least.
    """
    test = max(int(0.2 * length), horizon)
    validation = max(int(0.1 * length), horizon)
    return Borders(length - test - validation, length - test, length)


@dataclass(frozen=True)
class Scaling:
    """z-score per series and channel: ``mean`` and ``std`` (K,), of the training rows; std 1 for a
    constant channel.

    (Of one beyond 1e12 the deviation is its rounding error.)
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[np.float64], where: str, names: tuple[str, ...]) -> "Scaling":
        """From values (n, K), nan left out, population standard deviation (ddof 0)."""
        empty = np.flatnonzero(np.isnan(values).all(axis=0))
        if len(empty):
            raise UserError(
                f"{where}: column '{names[int(empty[0])]}' has no value in the {len(values)} rows "
                "to be learnt from; "
                "leave it out with --target"
            )
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        # a constant column's deviation is rounding error at most, relative to its size
        noise = 1e-12 * np.maximum(np.abs(mean), 1e-300)
        return cls(mean, np.where(std > noise, std, np.maximum(noise, 1.0)))

    def check(self, values: NDArray[np.float64], where: str, names: Sequence[str]) -> None:
        """Refuse values (n, K) that lie too many deviations off to be computed with."""
        with np.errstate(over="ignore"):
            far = np.argwhere(np.abs(self.apply(values)) > _FARTHEST)
        if len(far):
            row, k = far[0]
            raise UserError(
                f"{where}: column '{names[k]}' holds {values[row, k]:g}, more than {_FARTHEST:g} "
                "standard deviations from "
                f"the mean {self.mean[k]:g} of what was learnt from; correct it, or leave the "
                "column out with --target"
            )

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Original units (n, K) → z-scores."""
        return (values - self.mean) / self.std

    def invert(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """z-scores (…, K) → original units."""
        return values * self.std + self.mean

    def to_json(self) -> dict[str, list[float]]:
        """Plain lists."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Scaling":
        """The inverse of ``to_json``."""
        return cls(
            np.array(content["mean"], dtype=np.float64), np.array(content["std"], dtype=np.float64)
        )
