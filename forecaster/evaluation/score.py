"""Rolling evaluation: the windows of a split, point or probabilistic, summed batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int
from torch import Tensor
from torch.utils.data import DataLoader

from forecaster.data.problem import Problem, with_a_season
from forecaster.data.splits import Part
from forecaster.data.windows import Batch, Windows, evenly_spaced, loader_of
from forecaster.evaluation.accumulate import (
    Accumulator,
    Truth,
    add_paths,
    add_pit_of_quantiles,
    add_point,
    add_quantiles,
    add_samples,
)
from forecaster.evaluation.metrics import QUANTILES, quantiles_of_ranked, seasonal_errors
from forecaster.models import Draws, Forecaster
from forecaster.models.naive import SeasonalNaive

Mode = Literal["point", "probabilistic"]
# numbers in one array of sample paths: what bounds the memory of a batch
_PATHS = 2**23


@dataclass(frozen=True)
class Scoring:
    """What is scored: which mode, how many samples and steps, and which windows.

    ``stride``: every so many-th window of each series, the last one among them; ``limit``: of those
    as many evenly spaced ones (None: all). ``full`` adds to a probabilistic evaluation the point
    forecast's metrics and what costs more: the variogram score, PIT and rank histograms.
    """

    mode: Mode = "point"
    samples: int = 100
    steps: int | None = None
    limit: int | None = None
    seed: int = 0
    stride: int = 1
    full: bool = False


class Units:
    """From a model's z-scores to the scale that metrics are reported on: the file's own, or the
    z-scores of a protocol.

    Those of a model that was trained on other data are not the protocol's. The truth is the table's
    own, in float64: windows hold it in single precision, in which a zero would not be zero.
    """

    def __init__(self, problem: Problem, windows: Windows, device: torch.device) -> None:
        values = [series.values for series in problem.table.series]
        scale = np.stack(
            [
                seasonal_errors(rows[: border.train], problem.table.interval.season)
                for rows, border in zip(values, problem.borders, strict=True)
            ]
        )
        # value = std · output + mean, each (N, K)
        mean, std = (
            np.stack([getattr(s, name) for s in problem.scaling]) for name in ("mean", "std")
        )
        deviation = std
        low, high = (
            np.broadcast_to(bound, mean.shape)
            for bound in problem.config.limits(problem.table.names)
        )
        if problem.protocol is not None:
            middle, unit = (
                np.stack([getattr(s, name) for s in problem.protocol]) for name in ("mean", "std")
            )
            values = [s.apply(rows) for s, rows in zip(problem.protocol, values, strict=True)]
            mean, std, low, high = (
                (mean - middle) / unit,
                std / unit,
                (low - middle) / unit,
                (high - middle) / unit,
            )
            scale, deviation = scale / unit, np.ones_like(unit)
        self.mean, self.std, self.low, self.high, self.scale, self.deviation = (
            torch.tensor(each, dtype=torch.float64, device=device)
            for each in (mean, std, low, high, scale, deviation)
        )
        self.owners = windows.owners.to(device)
        self._rows, self._horizon, self._values = windows.rows, windows.horizon, values

    def truth(self, index: Int[Tensor, " B"]) -> Float64[Tensor, "B K H"]:
        """What the windows ``index`` turned out to be, 0 where it is missing."""
        places = zip(self.owners[index].tolist(), self._rows[index.cpu()].tolist(), strict=True)
        values = np.stack(
            [self._values[owner][row : row + self._horizon].T for owner, row in places]
        )
        return torch.from_numpy(np.nan_to_num(values.astype(np.float64))).to(index.device)

    def of(self, values: Tensor, index: Int[Tensor, " B"], ndim: int) -> Tensor:
        """The rows (N, K) of the windows' series, to be laid over (B, …, K, H)."""
        return values[self.owners[index]].view(len(index), *[1] * (ndim - 3), -1, 1)

    def restore(self, values: Tensor, index: Int[Tensor, " B"]) -> Float64[Tensor, "B *n K H"]:
        """(B, K, H) or (B, S, K, H) of the windows ``index``, cut off at the bounds of the data."""
        mean, std, low, high = (
            self.of(each, index, values.ndim) for each in (self.mean, self.std, self.low, self.high)
        )
        return torch.minimum(torch.maximum(values.double() * std + mean, low), high)


@dataclass(frozen=True)
class WindowScores:
    """The sums over all windows that were scored, their numbers (W,), and how far off each window
    was.

    ``errors`` (W,): the mean of a window's absolute errors, or its CRPS, in standard deviations of
    the training rows, so that channels and series of any unit can be compared; nan for a window
    without one observed value.
    """

    totals: Accumulator
    numbers: Int[Tensor, " W"]
    errors: Float64[Tensor, " W"]

    def pooled(self) -> dict[str, float]:
        """The metrics over everything, without prefix; ``windows`` counts the windows."""
        return {**self.totals.pooled(), "windows": float(len(self.numbers))}


def evaluate(model: Forecaster, problem: Problem, part: Part, scoring: Scoring) -> dict[str, float]:
    """The pooled metrics of a model on the windows of a part."""
    return score_windows(model, problem, problem.windows(part), scoring).pooled()


def chosen(windows: Windows, scoring: Scoring) -> Int[Tensor, " W"]:
    """The numbers of the windows that are scored."""
    last = torch.zeros(int(windows.owners.max()) + 1, dtype=torch.long)
    last.scatter_reduce_(0, windows.owners, windows.rows, "amax")
    numbers = torch.nonzero((last[windows.owners] - windows.rows) % scoring.stride == 0)[:, 0]
    return numbers[evenly_spaced(len(numbers), scoring.limit)]


@torch.no_grad()
def score_windows(
    model: Forecaster,
    problem: Problem,
    windows: Windows,
    scoring: Scoring,
    batch_size: int | None = None,
    watch: Callable[[DataLoader[Batch]], Iterator[Batch]] = iter,
) -> WindowScores:
    """Score a model on windows of the problem; ``batch_size`` and ``watch`` have no say in the
    result.
    """
    device = model.device
    model.eval()
    units, numbers = Units(problem, windows, device), chosen(windows, scoring)
    totals, errors = Accumulator(len(problem.table), units.scale), []
    for cpu_batch in watch(
        loader_of(windows, numbers, batch_size or _batch_size(problem, scoring))
    ):
        batch = cpu_batch.to(device)
        y = units.truth(batch.index)
        truth = Truth(y, batch.future_mask, units.owners[batch.index])
        totals.add_truth(truth)
        if scoring.mode == "probabilistic":
            error = _add_probabilistic(totals, truth, model, batch, scoring, units)
            if scoring.full:
                add_point(
                    totals, truth, units.restore(model.predict(batch, scoring.steps), batch.index)
                )
        else:
            error = add_point(
                totals, truth, units.restore(model.predict(batch, scoring.steps), batch.index)
            )
        scaled = error / units.of(units.deviation, batch.index, 3)
        errors.append((scaled.sum((1, 2)) / batch.future_mask.sum((1, 2))).cpu())
    return WindowScores(totals, numbers, torch.cat(errors))


def score_seasonal_naive(problem: Problem, part: Part, scoring: Scoring) -> WindowScores:
    """The baseline on the same windows, with a season of history to read however short the lookback
    of the model is.
    """
    widened = replace(problem, config=with_a_season(problem.config, problem.table))
    naive = SeasonalNaive(problem.table.interval.season, problem.config.horizon)
    return score_windows(
        naive,
        widened,
        widened.windows(part),
        replace(scoring, mode="point", steps=None, full=False),
    )


def _batch_size(problem: Problem, scoring: Scoring) -> int:
    if scoring.mode == "point":
        return 256
    return min(max(_PATHS // (scoring.samples * problem.channels * problem.config.horizon), 1), 16)


def _add_probabilistic(
    totals: Accumulator,
    truth: Truth,
    model: Forecaster,
    batch: Batch,
    scoring: Scoring,
    units: Units,
) -> Tensor:
    """Each entry's CRPS."""
    draws = Draws(scoring.samples, _seeds(batch, scoring.seed), scoring.steps)
    paths = units.restore(model.sample(batch, draws), batch.index)
    if model.distribution != "quantiles":
        return add_samples(totals, truth, paths, scoring.full)
    quantiles = units.restore(model.quantiles(batch, QUANTILES), batch.index)
    add_quantiles(totals, truth, quantiles)
    if scoring.full:
        add_pit_of_quantiles(totals, truth, quantiles)
    return add_paths(totals, truth, paths, paths.sort(dim=1).values, scoring.full)


def _seeds(batch: Batch, seed: int) -> Sequence[int]:
    return [seed * 2**32 + int(index) for index in batch.index]


def interval_ends(
    model: Forecaster, batch: Batch, scoring: Scoring, units: Units
) -> Float64[Tensor, "B 2 K H"]:
    """The 5 % and 95 % quantiles that were scored."""
    if model.distribution == "quantiles":
        return units.restore(model.quantiles(batch, (0.05, 0.95)), batch.index)
    paths = model.sample(batch, Draws(scoring.samples, _seeds(batch, scoring.seed), scoring.steps))
    return quantiles_of_ranked(units.restore(paths, batch.index).sort(dim=1).values, (0.05, 0.95))


def worst_windows(found: WindowScores, windows: Windows, count: int = 6) -> Int[Tensor, " n"]:
    """The numbers of the windows that are furthest off, worst first; of those whose targets
    overlap, the worst.
    """
    kept: list[int] = []
    for place in torch.argsort(found.errors, descending=True, stable=True).tolist():
        number = int(found.numbers[place])
        apart = all(
            windows.owners[number] != windows.owners[other]
            or abs(int(windows.rows[number] - windows.rows[other])) >= windows.horizon
            for other in kept
        )
        if apart and found.errors[place].isfinite():
            kept.append(number)
        if len(kept) == count:
            break
    return torch.tensor(kept, dtype=torch.long)
