"""One sentence in place of a table: whether the forecasts are better than repeating the season."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from forecaster.data.intervals import Interval
from forecaster.data.periods import repeated
from forecaster.data.problem import Problem
from forecaster.data.windows import Windows
from forecaster.evaluation.compare import Comparison, compare
from forecaster.evaluation.score import WindowScores

# the names of the two that are compared
_MODEL = "the forecasts"
# from fewer origins whose windows do not overlap a share of covered values says little: a year
# that is unlike the others is all of it
_FEW = 5


@dataclass(frozen=True)
class Paired:
    """Mean errors by origin (n,), a forecast's and its baseline's, of ``windows`` windows of
    ``series`` series; the targets of an origin overlap those of ``overlap`` − 1 origins after it.
    """

    losses: NDArray[np.float64]
    baseline: NDArray[np.float64]
    overlap: int
    windows: int
    series: int = 1

    @property
    def apart(self) -> int:
        """The number of origins whose targets do not overlap."""
        return -(-len(self.losses) // self.overlap)


@dataclass(frozen=True)
class Held:
    """The share of values that the 90 % intervals covered, and the number of windows of these.

    ``worse``: by how many percent the CRPS is above that of seasonal naive, each column's in its
    standard deviations, if it clearly is. ``apart``: from how many origins windows do not overlap.
    """

    share: float
    windows: int
    worse: float | None = None
    apart: int = _FEW


@dataclass(frozen=True)
class Skill:
    """How much closer than seasonal naive the forecasts were, in percent of its mean absolute
    error, with the 95 % interval; None where it cannot be told. ``windows``: how many were scored
    and have a value.
    """

    percent: float | None
    low: float | None
    high: float | None
    windows: int


@dataclass(frozen=True)
class Verdict:
    """The sentence, and the figures in it."""

    text: str
    skill: Skill

    @property
    def metrics(self) -> dict[str, float]:
        """The figures as metrics of a run."""
        figures = {"percent": self.skill.percent, "low": self.skill.low, "high": self.skill.high}
        return {f"skill/{name}": value for name, value in figures.items() if value is not None}


def judge(
    problem: Problem,
    windows: Windows,
    found: WindowScores,
    naive: WindowScores,
    samples: tuple[WindowScores, WindowScores] | None,
) -> Verdict:
    """The verdict on a model's point forecasts of these windows, beside seasonal naive's.

    ``samples``: the scores of the two forecasts' samples, if there are any.
    """
    lengths = np.array([len(series.values) for series in problem.table.series])

    def pairs_of(numbers: Tensor, errors: Tensor, baseline: Tensor) -> Paired:
        owners, rows = (each[numbers].numpy() for each in (windows.owners, windows.rows))
        ends = lengths[owners] - rows
        return paired(errors.numpy(), baseline.numpy(), owners, ends, windows.horizon)

    pairs = pairs_of(found.numbers, found.absolute, naive.absolute)
    rows = windows.rows[found.numbers].numpy()
    naive_name = repeating(problem.table.interval, problem.season, rows, windows.horizon)
    held = None
    if samples is not None:
        ours, theirs = samples
        scored = pairs_of(ours.numbers, ours.errors, theirs.errors)
        lost = _comparison(scored, "seasonal naive")
        worse = -lost.percent if lost is not None and lost.high < 0 else None
        held = held_by(ours)
        held = None if held is None else replace(held, worse=worse, apart=scored.apart)
    return Verdict(verdict(pairs, naive_name, held), skill_of(pairs))


def held_by(scores: WindowScores) -> Held | None:
    """What the intervals of a probabilistic evaluation held; None of a point forecast's."""
    share = scores.pooled().get("coverage/90")
    return None if share is None else Held(share, int(scores.errors.isfinite().sum()))


def paired(
    errors: NDArray[np.float64],
    baseline: NDArray[np.float64],
    owners: NDArray[np.int64],
    ends: NDArray[np.int64],
    horizon: int,
) -> Paired:
    """The errors of two forecasts of the same windows (W,), averaged over series at each origin.

    ``owners`` (W,) number the windows' series, ``ends`` (W,) tell how many steps before its series'
    end a window's first target lies: origins are counted back from there.
    """
    both = np.stack([errors, baseline])  # (2, W)
    known = np.isfinite(both).all(0)
    places, origin = np.unique(-ends[known], return_inverse=True)  # the oldest first
    sums = np.stack([np.bincount(origin, each, len(places)) for each in both[:, known]])
    means = sums / np.bincount(origin, minlength=len(places))
    gap = int(np.diff(places).min()) if len(places) > 1 else horizon
    count, series = int(known.sum()), len(np.unique(owners))
    return Paired(means[0], means[1], -(-horizon // gap), count, series)


def skill_of(pairs: Paired) -> Skill:
    """The figures of the verdict."""
    found = _comparison(pairs, "seasonal naive")
    if found is None:
        return Skill(None, None, None, pairs.windows)
    return Skill(found.percent, found.low, found.high, pairs.windows)


def _comparison(pairs: Paired, naive: str) -> Comparison | None:
    """None of fewer than two origins, and of errors relative to a baseline that was exact."""
    if len(pairs.losses) < 2 or (pairs.losses.any() and pairs.baseline.mean() <= 0):
        return None
    found = compare(_MODEL, pairs.losses, naive, pairs.baseline, pairs.overlap)
    # no error is below 0, so nothing is closer by more than all of the baseline's
    return replace(found, high=min(found.high, 100.0))


def verdict(pairs: Paired, naive: str, held: Held | None = None) -> str:
    """The sentence; ``naive``: what seasonal naive does, in words."""
    sentence = _finding(pairs, naive)
    if held is None:
        return f"{sentence}."
    only = "" if held.windows == pairs.windows else f" on {_count(held.windows, 'window')}"
    what = "windows" if pairs.series == 1 else "origins"
    few = f" (too few {what} apart to count on it)" if held.apart < _FEW else ""
    worse = ""
    if held.worse is not None:
        worse = f", BUT THEIR CRPS IS {_whole(held.worse)} % ABOVE THAT OF SEASONAL NAIVE"
    return f"{sentence}; 90 % intervals held {100 * held.share:.0f} %{only}{few}{worse}."


def _finding(pairs: Paired, naive: str) -> str:
    found = _comparison(pairs, naive)
    if found is not None:
        return f"{_where(pairs)} {_compared(found, naive)}"
    if len(pairs.losses) == 0:
        return "No past window has a value to judge the forecasts by"
    if len(pairs.losses) == 1:
        what = "window" if pairs.series == 1 else f"origin of {pairs.series} series"
        return (
            f"There is one past {what} only: too few to tell whether {_MODEL} are closer than "
            f"{naive}"
        )
    return (
        f"{_where(pairs)} {_MODEL.upper()} WERE FURTHER OFF THAN {naive.upper()}, WHICH WAS EXACT"
    )


def _where(pairs: Paired) -> str:
    if pairs.series == 1:
        return f"On {len(pairs.losses)} past windows"
    return f"From {len(pairs.losses)} past origins of {pairs.series} series"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _compared(found: Comparison, naive: str) -> str:
    if found.low > 0:
        interval = f"95 % interval {_whole(found.low)} to {_whole(found.high)} %"
        return f"{_MODEL} were {_whole(found.percent)} % closer than {naive} ({interval})"
    if found.high < 0:
        interval = f"95 % interval {_whole(-found.high)} to {_whole(-found.low)} %"
        further = f"{_MODEL.upper()} WERE {_whole(-found.percent)} % FURTHER OFF"
        return f"{further} THAN {naive.upper()} ({interval})"
    closer = found.percent >= 0
    low, high = (found.low, found.high) if closer else (-found.high, -found.low)
    interval = f"95 % interval {_whole(low)} to {_whole(high)} %"
    shift = f"{_whole(abs(found.percent))} % {'closer' if closer else 'further off'}"
    return f"{_MODEL} cannot be told apart from {naive} ({shift}, {interval})"


def _whole(percent: float) -> str:
    """A percentage without its fraction; what would read 0 and is not keeps a digit."""
    return f"{percent:.1g}" if 0 < abs(percent) < 0.5 else f"{round(percent)}"


def repeating(interval: Interval, season: int, rows: NDArray[np.int64], horizon: int) -> str:
    """Seasonal naive in words: ``repeating the last week``.

    ``rows`` (W,): those before each window's first target. Where none is a season before a target,
    it repeats the last value.
    """
    if (rows + horizon <= season).all():
        return f"repeating the {repeated(interval, 1)}"
    known = "" if (rows >= season).all() else " where it is known"
    return f"repeating the {repeated(interval, season)}{known}"
