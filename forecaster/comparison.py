"""Which of two forecasters is better, and how sure that is: paired losses over the origins of a backtest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """``first`` has a mean loss that is ``percent`` lower than ``second``'s; ``low`` and ``high`` bound that (95 %).

    ``p``: the two-sided p-value of the Diebold–Mariano test that the mean losses are equal.
    """

    first: str
    second: str
    percent: float
    low: float
    high: float
    p: float

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    def sentence(self, loss: str) -> str:
        """The finding in words, with the name of the loss."""
        interval = f"95 % interval {self.low:.1f} to {self.high:.1f} %"
        if self.low > 0:
            return f"{self.first} is better than {self.second} by {self.percent:.1f} % ({interval}) in {loss}"
        if self.high < 0:
            return f"{self.first} is worse than {self.second} by {-self.percent:.1f} % ({interval}) in {loss}"
        return (
            f"{self.first} and {self.second} cannot be told apart (difference {self.percent:.1f} %, {interval}) in {loss}"
        )


def compare(first: str, losses: NDArray[np.float64], second: str, others: NDArray[np.float64], overlap: int) -> Comparison:
    """Compare mean losses (n,) over the same origins, whose targets overlap those of ``overlap`` − 1 origins after them.

    The interval is that of 1 − mean(losses)/mean(others) by the delta method, its variance the long-run one (Newey and
    West, 1987); both it and the test of Diebold and Mariano (1995) take the small-sample factor and Student's t of Harvey,
    Leybourne and Newbold (1997).
    """
    n, scale = len(losses), float(others.mean())
    ratio = float(losses.mean()) / scale
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    error = _standard_error((losses - ratio * others) / scale, overlap)
    difference = losses - others
    own = _standard_error(difference, overlap)
    size = abs(float(difference.mean()))
    statistic = size / own if own > 0 else np.inf if size > 0 else 0.0
    percent = 100 * (1 - ratio)
    return Comparison(
        first, second, percent, percent - 100 * reach * error, percent + 100 * reach * error,
        2 * float(stats.t.sf(statistic, n - 1)),
    )  # fmt: skip


def _standard_error(values: NDArray[np.float64], overlap: int) -> float:
    """The standard error of the mean of a series that is correlated over ``overlap`` − 1 steps."""
    n = len(values)
    lags = min(overlap - 1, n - 2)
    centred = values - values.mean()
    variances = [float(centred[: n - lag] @ centred[lag:]) / n for lag in range(lags + 1)]
    variance = variances[0] + 2 * sum((1 - lag / (lags + 1)) * variances[lag] for lag in range(1, lags + 1))
    h = lags + 1
    factor = (n + 1 - 2 * h + h * (h - 1) / n) / n
    # with lag 0 this is the ordinary s²/n
    return float(np.sqrt(variance / n / max(factor, 1 / n)))


def against_best(losses: dict[str, NDArray[np.float64]], overlap: int) -> list[Comparison]:
    """The model of the lowest mean loss beside each other one, best first."""
    order: Sequence[str] = sorted(losses, key=lambda name: float(losses[name].mean()))
    return [compare(order[0], losses[order[0]], other, losses[other], overlap) for other in order[1:]]
