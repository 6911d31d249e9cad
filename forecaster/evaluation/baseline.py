"""Seasonal naive, the baseline of every score: its forecasts, and intervals from its own errors."""

from dataclasses import replace

import torch

from forecaster.config.schema import TrainerConfig
from forecaster.data.problem import Problem, with_season_lookback
from forecaster.data.splits import Part
from forecaster.evaluation.score import Scoring, WindowScores, score_windows
from forecaster.models.base import Forecaster, shape_of
from forecaster.models.conformal import Conformal
from forecaster.models.held_out import HeldOut, held_out_errors
from forecaster.models.naive import SeasonalNaive, SeasonalNaiveConfig

# the parts before another one; nothing is trained, so that the errors on all of them are out of
# sample
_BEFORE: dict[Part, tuple[Part, ...]] = {"validation": ("train",), "test": ("train", "validation")}
# how many windows of a part give their errors
_ERRORS = TrainerConfig(point_windows=500)
# how many draws are enough for its CRPS, whose fair form any number estimates without bias
_DRAWS = 20
# the fewest errors of which the outer one of the scored quantiles, 2.5 %, can be told
_FEWEST = 39


def score_seasonal_naive(problem: Problem, part: Part, scoring: Scoring) -> WindowScores:
    """Seasonal naive on the windows that ``scoring`` selects, with a lookback of a season at least.

    Without errors enough for intervals only its point forecast is scored.
    """
    config = with_season_lookback(problem.config, problem.table)
    widened = problem if config == problem.config else replace(problem, config=config)
    table = problem.table
    shape = shape_of(widened.config, table.interval, problem.channels, len(table.series))
    naive: Forecaster = SeasonalNaive(SeasonalNaiveConfig(), shape)
    scoring = replace(scoring, steps=None, full=False, samples=min(scoring.samples, _DRAWS))
    if scoring.mode == "probabilistic":
        found = _errors(naive, widened, part)
        if int((~found.errors.isnan()).sum(0).min()) < _FEWEST:
            scoring = replace(scoring, mode="point")
        else:
            naive = Conformal(naive, found, max(*problem.numbers, 0) + 1)
    return score_windows(naive, widened, widened.windows(part), scoring)


def _errors(naive: Forecaster, problem: Problem, part: Part) -> HeldOut:
    """The errors on windows before those of ``part``.

    Each is there with either sign, so that the forecast is the centre of the intervals, and a drift
    counts as spread.
    """
    parts = [each for each in _BEFORE[part] if problem.count_windows(each)]
    found = [held_out_errors(naive, problem, _ERRORS, each) for each in parts]
    errors = torch.cat([each.errors for each in found])
    times, owners = (torch.cat([getattr(f, n) for f in found]) for n in ("times", "owners"))
    return HeldOut(torch.cat([errors, -errors]), times.repeat(2), owners.repeat(2))
