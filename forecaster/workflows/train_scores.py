"""The scores of a training: its model and seasonal naive on the windows of a split."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch.utils.data import DataLoader

from forecaster.config.schema import Config, TrainerConfig
from forecaster.data.problem import Problem
from forecaster.data.splits import Part
from forecaster.data.windows import Batch
from forecaster.evaluation.baseline import score_seasonal_naive
from forecaster.evaluation.score import (
    PublishedErrors,
    WindowScores,
    no_callback,
    score_windows,
    scorings_of,
)
from forecaster.models.base import Forecaster, problem_shape
from forecaster.models.own import OwnForecast, OwnForecastConfig
from forecaster.training.progress import Monitor


@dataclass(frozen=True)
class SplitScores:
    """Scores of the point forecast, and of samples if there are any; ``further`` metrics."""

    point: WindowScores
    samples: WindowScores | None
    further: Mapping[str, float] = field(default_factory=dict)

    def pooled(self) -> dict[str, float]:
        """All metrics; ``probabilistic_windows`` is the number of windows with samples."""
        metrics = {**self.point.pooled(), **self.further}
        if self.samples is None:
            return metrics
        sampled = self.samples.pooled()
        return {**sampled, **metrics, "probabilistic_windows": sampled["windows"]}

    def by_lead(self) -> dict[str, list[float]]:
        """The metrics by lead time (H)."""
        samples = {} if self.samples is None else self.samples.totals.by_lead()
        return {**samples, **self.point.totals.by_lead()}


def score_split(
    model: Forecaster, problem: Problem, config: Config, part: Part, progress: Monitor
) -> SplitScores:
    """The scores of a trained model."""

    def watched(title: str) -> Callable[[DataLoader[Batch]], Iterator[Batch]]:
        return lambda batches: progress.scoring(batches, f"scoring {part}{title}")

    settings, windows = config.trainer, problem.windows(part)
    scoring, sampled = scorings_of(model, settings)
    named = config.data.dataset is not None and part == "test" and scoring.limit is None
    published = PublishedErrors(len(windows)) if named else None
    point = score_windows(
        model, problem, windows, scoring, progress=watched(""), on_batch=published or no_callback
    )
    further = published.metrics() if published else {}
    if sampled is None or sampled == scoring:
        return SplitScores(point, None if sampled is None else point, further)
    samples = score_windows(model, problem, windows, sampled, progress=watched(", samples"))
    return SplitScores(point, samples, further)


def score_own(model: Forecaster, problem: Problem, settings: TrainerConfig) -> WindowScores | None:
    """The scores of one's own forecast on the test windows of a model's; None without any."""
    shape = problem_shape(problem)
    if not shape.covariates.own:
        return None
    scoring = replace(scorings_of(model, settings)[0], mode="point")
    own = OwnForecast(OwnForecastConfig(), shape)
    return score_windows(own, problem, problem.windows("test"), scoring)


def score_naive(model: Forecaster, problem: Problem, settings: TrainerConfig) -> SplitScores:
    """The scores of seasonal naive on the test windows of a model's forecasts."""
    scoring, sampled = scorings_of(model, settings)
    point = score_seasonal_naive(problem, "test", replace(scoring, mode="point"))
    if sampled is None:
        return SplitScores(point, None)
    return SplitScores(point, score_seasonal_naive(problem, "test", sampled))
