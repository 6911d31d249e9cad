"""The scores of a training: its model and seasonal naive on the windows of a split."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecaster.config.schema import Config, TrainerConfig
from forecaster.data.problem import Problem
from forecaster.data.splits import Part
from forecaster.evaluation.score import (
    PublishedErrors,
    Scoring,
    WindowScores,
    no_callback,
    score_seasonal_naive,
    score_windows,
)
from forecaster.models.base import Forecaster


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
        counts = {"windows": metrics["windows"], "probabilistic_windows": sampled["windows"]}
        return {**metrics, **sampled, **counts}

    def by_lead(self) -> dict[str, list[float]]:
        """The metrics by lead time (H)."""
        samples = {} if self.samples is None else self.samples.totals.by_lead()
        return {**self.point.totals.by_lead(), **samples}


def score_split(model: Forecaster, problem: Problem, config: Config, part: Part) -> SplitScores:
    """The scores of a trained model."""
    settings, windows = config.trainer, problem.windows(part)
    published = _published(config, part, len(windows))
    scoring = Scoring("point", limit=settings.point_windows)
    point = score_windows(model, problem, windows, scoring, on_batch=published or no_callback)
    further = published.metrics() if published else {}
    if model.distribution == "none" or not settings.score_windows:
        return SplitScores(point, None, further)
    # quantiles need one pass only, so all windows are scored
    limit = settings.score_windows if model.distribution == "samples" else None
    scoring = Scoring("probabilistic", settings.score_samples, limit=limit, seed=settings.seed)
    return SplitScores(point, score_windows(model, problem, windows, scoring), further)


def _published(config: Config, part: Part, windows: int) -> PublishedErrors | None:
    """What a named data set's test errors are collected by, where all its windows are scored."""
    named = config.data.dataset is not None and part == "test"
    return PublishedErrors(windows) if named and not config.trainer.point_windows else None


def score_naive(problem: Problem, settings: TrainerConfig) -> SplitScores:
    """The scores of seasonal naive on the same test windows."""
    scoring = Scoring("point", limit=settings.point_windows)
    return SplitScores(score_seasonal_naive(problem, "test", scoring), None)
