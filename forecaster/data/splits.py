"""Training, validation and test rows of a series, and the scaling fitted on the training rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from forecaster.data.digits import shortest
from forecaster.data.layout.words import or_without
from forecaster.errors import UserError

Part = Literal["train", "validation", "test"]
_MAX_DEVIATION = 1e12  # standard deviations: sums of their squares stay within float32
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Borders:
    """The splits [0, train), [train, validation), [validation, test) of a series' rows."""

    train: int
    validation: int
    test: int

    def part(self, name: Part) -> tuple[int, int]:
        """First row and end of a split."""
        return {
            "train": (0, self.train),
            "validation": (self.train, self.validation),
            "test": (self.validation, self.test),
        }[name]


def target_rows(border: Borders, part: Part, lookback: int, horizon: int) -> tuple[int, int]:
    """First row and end of the targets of a split's windows.

    Training windows have their whole history in the training rows, as in the protocol. With fewer
    than lookback + horizon training rows, the history is padded, and holds at least half of the
    rows before the last horizon.
    """
    first, end = border.part(part)
    if part == "train":
        available = end - horizon
        first = lookback if available >= lookback else available // 2
    return first, end


def first_targets(first: int, end: int, horizon: int) -> range:
    """The possible rows of a window's first target.

    All ``horizon`` targets lie in [first, end), after a row of history at least.
    """
    return range(max(first, 1), end - horizon + 1)


def share_borders(length: int, train: float, test: float) -> Borders:
    """The borders of benchmarks, by the shares of training and test rows."""
    return Borders(int(train * length), length - int(test * length), length)


def tail_borders(length: int, horizon: int) -> Borders:
    """The borders of a user's file: the last fifth for test, the tenth before it for validation.

    Each has a horizon at least.
    """
    test = max(int(0.2 * length), horizon)
    validation = max(int(0.1 * length), horizon)
    return Borders(length - test - validation, length - test, length)


@dataclass(frozen=True)
class Scaling:
    """The z-score of each channel of a series: ``mean`` and ``std`` (K,) of the training rows.

    The std of a constant channel is 1, or its rounding error for a value beyond 1e12.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(
        cls, values: NDArray[np.float64], where: str, names: tuple[str, ...], remedy: str = ""
    ) -> "Scaling":
        """Fit on values (n, K), ignoring nan, with the population standard deviation (ddof 0).

        ``remedy``: what else may be done about a column without a value.
        """
        empty = np.flatnonzero(np.isnan(values).all(axis=0))
        if len(empty):
            raise UserError(
                f"{where}: column '{names[int(empty[0])]}' has no value in the {len(values)} rows "
                f"to be learnt from; add some{or_without(names[int(empty[0])], names)}{remedy}"
            )
        mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        # the deviation of a constant column is a rounding error, relative to its size
        noise = 1e-12 * np.maximum(np.abs(mean), 1e-300)
        return cls(mean, np.where(std > noise, std, np.maximum(noise, 1.0)))

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which channels (K,) had one value, so that their std stands in for none."""
        return self.std == np.maximum(1e-12 * np.abs(self.mean), 1.0)

    @property
    def zeros(self) -> NDArray[np.float64]:
        """The z-score of a value of 0 in each channel (K,)."""
        return -self.mean / self.std

    def check(self, values: NDArray[np.float64], where: str, names: Sequence[str]) -> None:
        """Raise UserError for values (n, K) too many deviations from the mean to compute with."""
        with np.errstate(over="ignore"):
            far = np.argwhere(np.abs(self.apply(values)) > _MAX_DEVIATION)
        if len(far):
            row, k = far[0]
            raise UserError(
                f"{where}: column '{names[k]}' holds {shortest(values[row, k])}, more than "
                f"{_MAX_DEVIATION:g} standard deviations from the mean "
                f"{self.mean[k]:g} of what was learnt from; correct it"
                f"{or_without(names[k], names)}"
            )

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Original units (n, K) → z-scores."""
        return (values - self.mean) / self.std

    def invert(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """z-scores (…, K) → original units."""
        return values * self.std + self.mean

    def to_json(self) -> dict[str, list[float]]:
        """The content of ``scaling.json`` for a series."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Scaling":
        """The inverse of ``to_json``."""
        return cls(
            np.array(content["mean"], dtype=np.float64), np.array(content["std"], dtype=np.float64)
        )
