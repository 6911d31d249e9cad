"""Rolling evaluation: the windows of a split, point or probabilistic, summed batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.utils.data import DataLoader

from forecaster.config.schema import TrainerConfig
from forecaster.data.problem import Problem
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
from forecaster.evaluation.metrics import QUANTILES
from forecaster.evaluation.units import Units
from forecaster.models.base import Forecaster
from forecaster.models.outlook import Outlook
from forecaster.models.scoring_rules import quantiles_of_ranked
from forecaster.models.seeds import window_seeds

Mode = Literal["point", "probabilistic"]
WindowChoice = Literal["all", "published"]
# the batch size of the public code whose last, incomplete test batch was left out
_PUBLISHED_BATCH = 32
# the largest size of an array of sample paths, in numbers
_MAX_PATH_VALUES = 2**23


@dataclass(frozen=True)
class Scoring:
    """Evaluation options: mode, number of samples and sampling steps, and selection of windows.

    ``stride``: the distance of scored windows in each series, counted from its last one; ``limit``:
    the number of evenly spaced ones among those (None: all). ``full`` adds to a probabilistic
    evaluation the variogram score, PIT and rank histograms.
    ``windows``: all, or those of published figures (``published_count``). ``leads``: how many steps
    ahead, from the first one, are scored (None: all).
    """

    mode: Mode = "point"
    samples: int = 100
    steps: int | None = None
    limit: int | None = None
    seed: int = 0
    stride: int = 1
    full: bool = False
    windows: WindowChoice = "all"
    leads: int | None = None


@dataclass(frozen=True)
class WindowScores:
    """The metric totals of all scored windows, their numbers (W,), and the error of each.

    ``errors`` (W,): a window's mean absolute error, or its CRPS, in standard deviations of the
    training rows, so that channels and series of any unit can be compared; nan for a window without
    an observed value. ``absolute`` (W,): the mean absolute error of the point forecast.
    """

    totals: Accumulator
    numbers: Int[Tensor, " W"]
    errors: Float64[Tensor, " W"]
    absolute: Float64[Tensor, " W"]

    def pooled(self) -> dict[str, float]:
        """The metrics over all windows, without prefix; ``windows`` is their number."""
        return {**self.totals.pooled(), "windows": float(len(self.numbers))}


def evaluate(model: Forecaster, problem: Problem, part: Part, scoring: Scoring) -> dict[str, float]:
    """The pooled metrics of a model on the windows of a split."""
    return score_windows(model, problem, problem.windows(part), scoring).pooled()


def scorings_of(model: Forecaster, settings: TrainerConfig) -> tuple[Scoring, Scoring | None]:
    """How a split is scored after a training: with the point forecast, and probabilistic if at all.

    The two are equal where one pass gives both: quantiles of all windows, or the medians of the
    very samples that are scored.
    """
    point = Scoring("point", settings.score_samples, limit=settings.point_windows)
    point = replace(point, seed=settings.seed)
    if model.distribution == "none" or not settings.score_windows:
        return point, None
    probabilistic = replace(point, mode="probabilistic")
    if model.distribution == "quantiles":
        return probabilistic, probabilistic
    probabilistic = replace(probabilistic, limit=settings.score_windows)
    return (probabilistic if model.draws_centre else point), probabilistic


def selected_windows(windows: Windows, scoring: Scoring) -> Int[Tensor, " W"]:
    """The numbers of the windows to score."""
    last = torch.zeros(int(windows.owners.max()) + 1, dtype=torch.long)
    last.scatter_reduce_(0, windows.owners, windows.rows, "amax")
    numbers = torch.nonzero((last[windows.owners] - windows.rows) % scoring.stride == 0)[:, 0]
    if scoring.windows == "published":
        numbers = numbers[: published_count(len(numbers))]
    return numbers[evenly_spaced(len(numbers), scoring.limit)]


def published_count(windows: int) -> int:
    """How many of a test split's windows, from the first one, published figures are means of.

    The public code of long-term forecasting leaves out the last, incomplete batch of 32.
    """
    return windows - windows % _PUBLISHED_BATCH


class PublishedErrors:
    """A batch callback: the squared and absolute errors of a point forecast on the windows of
    published figures, of ``windows`` in all.
    """

    def __init__(self, windows: int) -> None:
        self.count, self.totals = published_count(windows), Accumulator()

    def __call__(self, scored: "ScoredBatch") -> None:
        rows = scored.index < self.count
        truth = Truth(scored.y[rows], scored.mask[rows], torch.zeros_like(scored.index[rows]))
        self.totals.add_truth(truth)
        add_point(self.totals, truth, scored.outlook.point[rows])

    def metrics(self) -> dict[str, float]:
        """``published/mse`` and ``published/mae``; none without a whole batch of windows."""
        pooled = self.totals.pooled() if self.count else {}
        return {f"published/{name}": pooled[name] for name in ("mse", "mae") if name in pooled}


@dataclass(frozen=True)
class ScoredBatch:
    """A scored batch of windows ``index``, on the scale of the metrics.

    The truth is 0 where ``mask`` is. Sample paths and quantiles (``QUANTILES``) are those of the
    ``outlook``, or None in point mode.
    """

    index: Int[Tensor, " B"]
    mask: Float[Tensor, "B K H"]
    y: Float64[Tensor, "B K H"]
    outlook: Outlook


BatchCallback = Callable[[ScoredBatch], object]


def no_callback(scored: ScoredBatch) -> None:
    """Ignore the batch."""


@torch.no_grad()
def score_windows(
    model: Forecaster,
    problem: Problem,
    windows: Windows,
    scoring: Scoring,
    batch_size: int | None = None,
    progress: Callable[[DataLoader[Batch]], Iterator[Batch]] = iter,
    on_batch: BatchCallback = no_callback,
) -> WindowScores:
    """Score a model on windows of the problem.

    ``progress`` wraps the loader, ``on_batch`` receives each scored batch; neither these nor
    ``batch_size`` change the result.
    """
    device = model.device
    model.eval()
    units, numbers = Units(problem, windows, device), selected_windows(windows, scoring)
    totals = Accumulator(len(problem.table), units.scale, windows.owners[numbers].unique())
    errors: list[Tensor] = []
    point_errors: list[Tensor] = []
    for cpu_batch in progress(
        loader_of(windows, numbers, batch_size or batch_size_of(model, problem, scoring))
    ):
        batch = _first_leads(cpu_batch, scoring.leads).to(device)
        seeds = window_seeds(problem, windows, cpu_batch.index, scoring.seed)
        scored = score_batch(model, batch, scoring, units, seeds)
        truth = Truth(scored.y, scored.mask, units.owners[batch.index])
        totals.add_truth(truth)
        point_error = add_point(totals, truth, scored.outlook.point)
        error = _add_distribution(totals, truth, scored, scoring)
        errors.append(units.per_window(point_error if error is None else error, batch))
        point_errors.append(units.per_window(point_error, batch))
        on_batch(scored)
    return WindowScores(totals, numbers, torch.cat(errors), torch.cat(point_errors))


@torch.no_grad()
def forecast_windows(
    model: Forecaster, problem: Problem, windows: Windows, scoring: Scoring
) -> None:
    """Forecast what would be scored, as for that, to see how long it takes."""
    model.eval()
    loader = loader_of(
        windows, selected_windows(windows, scoring), batch_size_of(model, problem, scoring)
    )
    for batch in loader:
        seeds = window_seeds(problem, windows, batch.index, scoring.seed)
        draws = Draws(scoring.samples, seeds, scoring.steps)
        model.outlook(batch.to(model.device), draws, QUANTILES)


def score_quantiles(
    problem: Problem,
    windows: Windows,
    numbers: Int[Tensor, " W"],
    quantiles: Float64[np.ndarray, "W Q K H"],
    levels: Sequence[float],
) -> dict[str, float]:
    """The pooled metrics of quantiles that were forecast elsewhere, in the file's units.

    Their median is the point forecast. ``levels``: ascending, the median among them.
    """
    units = Units(problem, windows, torch.device("cpu"))
    totals = Accumulator(len(problem.table), units.scale, windows.owners[numbers].unique())
    truth = Truth(units.truth(numbers), windows[numbers].future_mask, units.owners[numbers])
    mean, std = (
        np.stack([getattr(scale, name) for scale in problem.scaling])[units.owners[numbers]]
        for name in ("mean", "std")
    )
    scaled = (quantiles - mean[:, None, :, None]) / std[:, None, :, None]
    found = units.restore(torch.from_numpy(scaled), numbers)
    totals.add_truth(truth)
    add_point(totals, truth, found[:, list(levels).index(0.5)])
    add_quantiles(totals, truth, found, levels)
    return totals.pooled()


def _first_leads(batch: Batch, leads: int | None) -> Batch:
    """The batch, whose targets after so many steps are taken as missing."""
    if leads is None:
        return batch
    mask = batch.future_mask.clone()
    mask[..., leads:] = 0
    return replace(batch, future_mask=mask)


def batch_size_of(model: Forecaster, problem: Problem, scoring: Scoring) -> int:
    """The windows that are scored at once."""
    values = problem.channels * problem.config.horizon
    if scoring.mode == "point" and not model.draws_centre:
        return min(max(_MAX_PATH_VALUES // values, 1), 256)
    return min(max(_MAX_PATH_VALUES // (scoring.samples * values), 1), 16)


def score_batch(
    model: Forecaster, batch: Batch, scoring: Scoring, units: Units, seeds: Sequence[int]
) -> ScoredBatch:
    """Truth and forecasts of a batch, whose windows have these seeds."""

    def restore(values: Tensor) -> Tensor:
        return units.restore(values, batch.index)

    draws = Draws(scoring.samples, seeds, scoring.steps)
    if scoring.mode == "point":
        outlook = replace(model.centred(batch, draws).restored(restore), paths=None)
    else:
        outlook = model.outlook(batch, draws, QUANTILES).restored(restore)
        if outlook.quantiles is not None:
            outlook = replace(outlook, paths=restore(model.sample(batch, draws)))
    return ScoredBatch(batch.index, batch.future_mask, units.truth(batch.index), outlook)


def _add_distribution(
    totals: Accumulator, truth: Truth, scored: ScoredBatch, scoring: Scoring
) -> Tensor | None:
    """Elementwise CRPS; None in point mode."""
    paths, quantiles, full = scored.outlook.paths, scored.outlook.quantiles, scoring.full
    if scoring.mode == "point":
        return None
    assert paths is not None
    if quantiles is None:
        return add_samples(totals, truth, paths, full)
    add_quantiles(totals, truth, quantiles)
    if full:
        add_pit_of_quantiles(totals, truth, quantiles)
    return add_paths(totals, truth, paths, paths.sort(dim=1).values, full)


def interval_ends(scored: ScoredBatch) -> Float64[Tensor, "B 2 K H"]:
    """The 5 % and 95 % quantiles of a probabilistic evaluation."""
    if scored.outlook.quantiles is not None:
        places = [QUANTILES.index(level) for level in (0.05, 0.95)]
        return scored.outlook.quantiles[:, places]
    assert scored.outlook.paths is not None
    return quantiles_of_ranked(scored.outlook.paths.sort(dim=1).values, (0.05, 0.95))


def worst_windows(scores: WindowScores, windows: Windows, count: int = 6) -> Int[Tensor, " n"]:
    """The numbers of the windows with the largest errors, in descending order.

    Of windows whose targets overlap, only the worst is returned.
    """
    selected: list[int] = []
    for position in torch.argsort(scores.errors, descending=True, stable=True).tolist():
        number = int(scores.numbers[position])
        disjoint = all(
            windows.owners[number] != windows.owners[other]
            or abs(int(windows.rows[number] - windows.rows[other])) >= windows.horizon
            for other in selected
        )
        if disjoint and scores.errors[position].isfinite():
            selected.append(number)
        if len(selected) == count:
            break
    return torch.tensor(selected, dtype=torch.long)
