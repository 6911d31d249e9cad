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

    The test is that of Diebold and Mariano (1995), the interval that of 1 − mean(losses)/mean(others) by the delta method.
    """
    scale = float(others.mean())
    ratio = float(losses.mean()) / scale
    error, freedom = _standard_error((losses - ratio * others) / scale, overlap)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom))
    difference = losses - others
    own, freedom = _standard_error(difference, overlap)
    size = abs(float(difference.mean()))
    statistic = size / own if own > 0 else np.inf if size > 0 else 0.0
    percent = 100 * (1 - ratio)
    return Comparison(
        first, second, percent, percent - 100 * reach * error, percent + 100 * reach * error,
        2 * float(stats.t.sf(statistic, freedom)),
    )  # fmt: skip


def _standard_error(values: NDArray[np.float64], overlap: int) -> tuple[float, float]:
    """The standard error of the mean, and the degrees of freedom it is known with.

    Two origins k apart share the part 1 − k/``overlap`` of their periods, and that is taken as the correlation R of their
    losses. Then the centred squares sum to σ²·tr(MR), M the centring matrix, with tr(MR)²/tr(MRMR) degrees of freedom
    (Satterthwaite, 1946), and the mean's variance is σ²·ΣR/n². A long-run variance estimated from so few origins would be
    far too small.
    Without overlap it is the t-test's s²/n with n − 1.
    """
    n = len(values)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    correlation = np.maximum(1 - apart / overlap, 0)
    centred = correlation - correlation.mean(0)  # M·R
    trace = float(np.trace(centred))
    squares = float(((values - values.mean()) ** 2).sum())
    return (squares / trace * float(correlation.sum())) ** 0.5 / n, trace**2 / float((centred * centred.T).sum())


def against_best(losses: dict[str, NDArray[np.float64]], overlap: int) -> list[Comparison]:
    """The model of the lowest mean loss beside each other one, best first."""
    order: Sequence[str] = sorted(losses, key=lambda name: float(losses[name].mean()))
    return [compare(order[0], losses[order[0]], other, losses[other], overlap) for other in order[1:]]
