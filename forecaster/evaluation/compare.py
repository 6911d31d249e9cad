"""Comparison of two forecasters by their paired losses over the origins of a backtest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Comparison:
    """``first``'s mean loss is lower than ``second``'s by ``percent`` of the latter.

    ``low``, ``high``: the 95 % interval of ``percent``. ``p``: the two-sided p-value of the
    Diebold–Mariano test that the mean losses are equal. Both are adjusted for ``pairs`` comparisons
    (Bonferroni): the intervals of all pairs hold jointly.
    """

    first: str
    second: str
    percent: float
    low: float
    high: float
    p: float
    pairs: int = 1

    @property
    def significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    def sentence(self, loss: str) -> str:
        """The result in words, with the name of the loss."""
        interval = f"95 % interval {self.low:.1f} to {self.high:.1f} %"
        if self.low > 0:
            better = f"{self.first} is better than {self.second} by {self.percent:.1f} %"
            return f"{better} ({interval}) in {loss}"
        if self.high < 0:
            worse = f"{self.first} is worse than {self.second} by {-self.percent:.1f} %"
            return f"{worse} ({interval}) in {loss}"
        return (
            f"{self.first} and {self.second} cannot be told apart "
            f"(difference {self.percent:.1f} %, {interval}) in {loss}"
        )


def compare(
    first: str,
    losses: NDArray[np.float64],
    second: str,
    others: NDArray[np.float64],
    overlap: int,
    pairs: int = 1,
) -> Comparison:
    """Compare the losses (n,) of two forecasters over the same origins.

    The targets of an origin overlap those of the ``overlap`` − 1 origins after it. The test is that
    of Diebold and Mariano (1995); the interval is that of the mean difference, divided by the mean
    of ``others``, so it excludes 0 where p < 5 %. ``pairs``: the number of pairs compared, for
    Bonferroni's adjustment.
    """
    scale, difference = float(others.mean()), others - losses
    if not difference.any():
        return Comparison(first, second, 0.0, 0.0, 0.0, 1.0, pairs)
    if scale <= 0:
        raise ValueError(
            "the second's losses are 0 and the first's are not: no relative difference"
        )
    mean = float(difference.mean())
    error, freedom = _standard_error(difference, overlap)
    reach = float(stats.t.ppf(1 - (1 - LEVEL) / (2 * pairs), freedom)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, freedom)) if error > 0 else 0.0
    percent, low, high = (100 * value / scale for value in (mean, mean - reach, mean + reach))
    return Comparison(first, second, percent, low, high, min(pairs * p, 1.0), pairs)


def _standard_error(values: NDArray[np.float64], overlap: int) -> tuple[float, float]:
    """The standard error of the mean of overlapping origins, and its degrees of freedom.

    Two origins k apart share the part 1 − k/``overlap`` of their periods, and that is taken as the
    correlation R of their losses. Then the centred squares sum to σ²·tr(MR), M the centring matrix,
    with tr(MR)²/tr(MRMR) degrees of freedom (Satterthwaite, 1946), and the mean's variance is
    σ²·ΣR/n². A long-run variance estimated from so few origins would be far too small. Without
    overlap it is the t-test's s²/n with n − 1.
    """
    n = len(values)
    apart = np.arange(min(overlap, n))
    part = 1 - apart / overlap  # R as far from its diagonal
    both = np.where(apart == 0, 1, 2) * (n - apart)  # how often it stands there
    sums = np.concatenate([[0], np.cumsum(part[1:])])
    near = np.minimum(np.arange(n), len(part) - 1)
    rows = 1 + sums[near] + sums[near[::-1]]  # R·1
    total = float(rows.sum())
    trace = n - total / n
    squares = float(((values - values.mean()) ** 2).sum())
    freedom = trace**2 / (
        float((both * part**2).sum()) - 2 * float((rows**2).sum()) / n + (total / n) ** 2
    )
    return (squares / trace * total) ** 0.5 / n, freedom


def against_best(losses: dict[str, NDArray[np.float64]], overlap: int) -> list[Comparison]:
    """Compare the model of the lowest mean loss with the others, in the order of their losses.

    Since the best is selected by the same losses, the number of all pairs is adjusted for.
    """
    order: Sequence[str] = sorted(losses, key=lambda name: float(losses[name].mean()))
    pairs = len(order) * (len(order) - 1) // 2
    return [
        compare(order[0], losses[order[0]], other, losses[other], overlap, pairs)
        for other in order[1:]
    ]


def in_words(comparisons: Sequence[Comparison], by: str) -> list[str]:
    """A sentence a comparison, and a note if there are several; ``by``: the loss."""
    several = [
        "the intervals hold for all pairs of these models at once (Bonferroni), since the best was "
        "picked here"
    ]
    return [c.sentence(by.upper()) for c in comparisons] + (several if len(comparisons) > 1 else [])
