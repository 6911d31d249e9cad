"""The windows that a training scores at its end: no more than fit into the time it took."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from forecaster.config.schema import TrainerConfig
from forecaster.data.problem import Problem
from forecaster.evaluation.bounded import divided, most_windows, seconds_a_window
from forecaster.evaluation.score import Scoring, batch_size_of, score_windows, scorings_of
from forecaster.models.base import Forecaster
from forecaster.models.held_out import most_windows_of

# seconds that the scoring may take however short the training was
FLOOR = 10.0
# the settings that, where they are asked for, are obeyed whatever the scoring takes
SETTINGS = ("trainer.point_windows", "trainer.score_windows", "trainer.score_samples")
# the fewest samples of a window, where so few windows as are scored at least take too long
_FEWEST_SAMPLES = 10


@dataclass(frozen=True)
class Selection:
    """The settings with the numbers of windows and samples that are scored.

    ``note``: what is said where they are less than configured; ``a_sample``: the seconds that one
    takes, None if they were not measured.
    """

    settings: TrainerConfig
    note: str | None = None
    a_sample: float | None = None


@dataclass(frozen=True)
class Budget:
    """The seconds for the scoring, why there are no more of them, and what gives more."""

    seconds: float
    reason: str
    remedy: str | None = None


@dataclass(frozen=True)
class _Work:
    """A scoring of ``counts`` windows, and the seconds a window and a sample of it."""

    counts: tuple[int, ...]
    window: float = 0.0
    sample: float = 0.0

    @property
    def seconds(self) -> float:
        return sum(self.counts) * self.window


def selected(
    model: Forecaster,
    problem: Problem,
    settings: TrainerConfig,
    asked: Collection[str],
    budget: Budget,
    refits: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Selection:
    """What can be scored within a budget, except where more is ``asked`` for.

    ``refits``: a model trained on all rows makes errors of its own on the same windows.
    """
    validation, test = _counts(problem)
    errors = (validation, validation, test) if refits else (validation,)
    point, sampled = scorings_of(model, settings)
    works = {"point_windows": point, "score_windows": sampled}
    if model.draws_centre and sampled is not None:
        del works["point_windows"]  # one pass gives both, and the errors of conformal intervals
    elif point == sampled:
        del works["score_windows"]
    measured = {"point_windows": _Work(()), "score_windows": _Work(())}
    for number, (key, scoring) in enumerate(works.items()):
        if scoring is not None and f"trainer.{key}" not in asked:
            share = budget.seconds / len(works)
            further = (
                [min(count, most_windows_of(problem)) for count in errors] if number == 0 else []
            )
            measured[key] = _measured(model, problem, scoring, further, share, clock)
    points, samples = measured.values()
    for_points, for_samples = divided(budget.seconds, points.seconds, samples.seconds)
    found: dict[str, int] = {}
    if (most := most_windows(points.counts, points.window, for_points)) is not None:
        found["point_windows"] = most
    if (most := most_windows(samples.counts, samples.window, for_samples)) is not None:
        found["score_windows"] = most
    if samples.sample and "trainer.score_samples" not in asked:
        windows = sum(count if most is None else min(most, count) for count in samples.counts)
        affordable = max(int(for_samples / (windows * samples.sample)), _FEWEST_SAMPLES)
        if affordable < settings.score_samples:
            found["score_samples"] = affordable
    note = _note(settings, found, test, budget)
    return Selection(settings.model_copy(update=found), note, samples.sample or None)


def _measured(
    model: Forecaster,
    problem: Problem,
    scoring: Scoring,
    further: Sequence[int],
    seconds: float,
    clock: Callable[[], float],
) -> _Work:
    """A work on validation, test, and ``further`` windows, for the errors of conformal intervals.

    A trial, in a part of the ``seconds``, tells its pace.
    """
    counts = [*_counts(problem), *further]
    counts = [count if scoring.limit is None else min(count, scoring.limit) for count in counts]
    draws = scoring.mode == "probabilistic" or model.draws_centre
    drawn, windows = scoring.samples if draws else 1, problem.windows("test")
    _ = problem.seasonal_errors  # found once for all scorings, and no part of their pace

    def seconds_of(size: int) -> float:
        few = replace(scoring, limit=max(size // drawn, 1), samples=max(min(size, drawn), 2))
        started = clock()
        score_windows(model, problem, windows, few)
        tried = (few.limit or 0) * (few.samples if draws else 1)
        return (clock() - started) * size / tried

    batch = batch_size_of(model, problem, scoring) * drawn
    sample = seconds_a_window(seconds_of, sum(counts) * drawn, seconds, batch)
    return _Work(tuple(counts), sample * drawn, sample)


def _counts(problem: Problem) -> tuple[int, int]:
    return problem.count_windows("validation"), problem.count_windows("test")


def _note(
    settings: TrainerConfig, found: Mapping[str, int], windows: int, budget: Budget
) -> str | None:
    """What is said where not all is scored; ``windows``: those of the test split."""
    texts = {
        "point_windows": "windows with the point forecast",
        "score_windows": "windows with samples",
        "score_samples": "samples of a window",
    }
    if not found:
        return None
    wanted = {key: getattr(settings, key) for key in found}
    wanted = {
        key: value if key == "score_samples" else min(windows, value or windows)
        for key, value in wanted.items()
    }
    scored = " and ".join(
        f"{min(most, wanted[key]):,} of {wanted[key]:,} {texts[key]}" for key, most in found.items()
    )
    every = " ".join(f"--set trainer.{key}={value}" for key, value in wanted.items())
    return f"scored {scored}, {budget.reason}; {budget.remedy or f'{every} scores all'}"
