"""Rolling evaluation: the windows of a split, point or probabilistic, summed batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.utils.data import DataLoader

from forecaster.data.problem import Problem, with_a_season
from forecaster.data.splits import Part
from forecaster.data.windows import Batch, Windows, evenly_spaced, loader_of
from forecaster.diffusion.drawing import Draws
from forecaster.evaluation.accumulate import (
    Accumulator,
    Truth,
    add_paths,
    add_pit_of_quantiles,
    add_point,
    add_quantiles,
    add_samples,
)
from forecaster.evaluation.metrics import QUANTILES, quantiles_of_ranked
from forecaster.evaluation.units import Units
from forecaster.models.base import Forecaster, Shape
from forecaster.models.naive import SeasonalNaive, SeasonalNaiveConfig

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


@dataclass(frozen=True)
class WindowScores:
    """The sums over all windows that were scored, their numbers (W,), and how far off each window
    was.

    ``errors`` (W,): the mean of a window's absolute errors, or its CRPS, in standard deviations of
    the training rows, so that channels and series of any unit can be compared; nan for a window
    without one observed value. ``absolute`` (W,): those of the point forecast in any mode, None
    where there was none.
    """

    totals: Accumulator
    numbers: Int[Tensor, " W"]
    errors: Float64[Tensor, " W"]
    absolute: Float64[Tensor, " W"] | None = None

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


@dataclass(frozen=True)
class Scored:
    """A batch of windows ``index`` as it was scored, on the scale of the metrics: the truth, 0
    where ``mask`` is, the point forecast and sample paths or quantiles (``QUANTILES``), each None
    where it was not asked for.
    """

    index: Int[Tensor, " B"]
    mask: Float[Tensor, "B K H"]
    y: Float64[Tensor, "B K H"]
    point: Float64[Tensor, "B K H"] | None = None
    paths: Float64[Tensor, "B S K H"] | None = None
    quantiles: Float64[Tensor, "B Q K H"] | None = None


Listener = Callable[[Scored], object]


def unheard(scored: Scored) -> None:
    """Nobody asks for the forecasts themselves."""


@torch.no_grad()
def score_windows(
    model: Forecaster,
    problem: Problem,
    windows: Windows,
    scoring: Scoring,
    batch_size: int | None = None,
    watch: Callable[[DataLoader[Batch]], Iterator[Batch]] = iter,
    listen: Listener = unheard,
) -> WindowScores:
    """Score a model on windows of the problem; ``batch_size``, ``watch`` and ``listen``, which gets
    every batch as it was scored, have no say in the result.
    """
    device = model.device
    model.eval()
    units, numbers = Units(problem, windows, device), chosen(windows, scoring)
    totals = Accumulator(len(problem.table), units.scale)
    errors: list[Tensor] = []
    absolute: list[Tensor] = []
    for cpu_batch in watch(
        loader_of(windows, numbers, batch_size or _batch_size(problem, scoring))
    ):
        batch = cpu_batch.to(device)
        y = units.truth(batch.index)
        truth = Truth(y, batch.future_mask, units.owners[batch.index])
        totals.add_truth(truth)
        scored = _forecast(model, batch, scoring, units, y)
        error, off = _add(totals, truth, scored, scoring)
        errors.append(units.per_window(error, batch))
        absolute += [] if off is None else [units.per_window(off, batch)]
        listen(scored)
    whole = torch.cat(absolute) if absolute else None
    return WindowScores(totals, numbers, torch.cat(errors), whole)


def score_seasonal_naive(problem: Problem, part: Part, scoring: Scoring) -> WindowScores:
    """The baseline on the same windows, with a season of history to read however short the lookback
    of the model is.
    """
    widened = replace(problem, config=with_a_season(problem.config, problem.table))
    data, season = widened.config, problem.table.interval.season
    shape = Shape(problem.channels, data.lookback, data.horizon, season)
    naive = SeasonalNaive(SeasonalNaiveConfig(), shape)
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


def _forecast(model: Forecaster, batch: Batch, scoring: Scoring, units: Units, y: Tensor) -> Scored:
    """What is scored of a batch. (The paths are drawn first, then the point forecast.)"""

    def restore(values: Tensor) -> Tensor:
        return units.restore(values, batch.index)

    if scoring.mode == "point":
        return Scored(
            batch.index, batch.future_mask, y, restore(model.predict(batch, scoring.steps))
        )
    draws = Draws(scoring.samples, _seeds(batch, scoring.seed), scoring.steps)
    paths, quantiles = restore(model.sample(batch, draws)), None
    if model.distribution == "quantiles":
        quantiles = restore(model.quantiles(batch, QUANTILES))
    point = restore(model.predict(batch, scoring.steps)) if scoring.full else None
    return Scored(batch.index, batch.future_mask, y, point, paths, quantiles)


def _add(
    totals: Accumulator, truth: Truth, scored: Scored, scoring: Scoring
) -> tuple[Tensor, Tensor | None]:
    """Each entry's CRPS, or absolute error in point mode; then the point forecast's in any mode."""
    crps = None
    if scored.paths is not None:
        crps = _add_probabilistic(totals, truth, scored.paths, scored.quantiles, scoring.full)
    off = None if scored.point is None else add_point(totals, truth, scored.point)
    error = off if crps is None else crps
    assert error is not None
    return error, off


def _add_probabilistic(
    totals: Accumulator, truth: Truth, paths: Tensor, quantiles: Tensor | None, full: bool
) -> Tensor:
    """Each entry's CRPS."""
    if quantiles is None:
        return add_samples(totals, truth, paths, full)
    add_quantiles(totals, truth, quantiles)
    if full:
        add_pit_of_quantiles(totals, truth, quantiles)
    return add_paths(totals, truth, paths, paths.sort(dim=1).values, full)


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
